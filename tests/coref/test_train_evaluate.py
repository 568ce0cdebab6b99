import json

import pytest
import torch

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref
from pipeline_lib.core import device, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import evaluate, summary, train
from pipeline_lib.coref.checkpoint import Checkpoint
from pipeline_lib.training import logs

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    device.deterministic()


def fit(world, options, folder="training"):
    with world.open(options) as inputs:
        checkpoint, fitted = train.train(inputs, options, CPU, world.folder / folder)
        return checkpoint, fitted.rows


def scores(world, options, checkpoint):
    with world.open(options) as inputs:
        return evaluate.evaluate(inputs, checkpoint, options, CPU)


def test_it_learns_and_beats_every_baseline(world, options):
    checkpoint, rows = fit(world, options)
    assert [row["epoch"] for row in rows] == list(range(13)) and rows[-1]["loss"] < rows[1]["loss"]
    results = scores(world, options, checkpoint)
    for protocol in ("without_proposals", "with_proposals"):
        systems = results[protocol]["test"]["systems"]
        low = systems["milo"]["f1"]["ci95"][0]
        for baseline in ("random", "all_positive", "untrained_network"):
            assert low > systems[baseline]["f1"]["ci95"][1], (protocol, baseline)
        assert systems["milo"]["threshold"] == results[protocol]["val"]["systems"]["milo"]["threshold"]
        assert systems["all_positive"]["recall"]["value"] == 1.0
    assert results["without_proposals"]["test"]["counts"] == {
        "videos": 6,
        "clips": 18,
        "sentences": 30,
        "pairs": 90,
        "positive_pairs": 18,
        "positive_pairs_without_clip": 0,
    }


@pytest.mark.parametrize("protocol", ["chosen_on_val", "as_published"])
def test_the_epoch_is_chosen_by_what_is_measured(world, options, protocol):
    evaluation = options.evaluation.model_copy(update={"protocol": protocol, "temperature": 0.2})
    training = options.training.model_copy(update={"epochs": 2})
    options = options.model_copy(update={"evaluation": evaluation, "training": training})
    checkpoint, _ = fit(world, options)
    for name, result in scores(world, options, checkpoint).items():
        milo, chosen = result["val"]["systems"]["milo"], checkpoint.about["val"][name]
        assert chosen == {"f1": pytest.approx(milo["f1"]["value"], abs=1e-6), "threshold": milo["threshold"]}


def test_same_bytes_every_time(world, options, tmp_path):
    short = options.model_copy(update={"training": options.training.model_copy(update={"epochs": 2})})
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 1000)  # what ran before must not matter
        checkpoint, rows = fit(world, short, f"training_{name}")
        checkpoint.save(tmp_path / f"{name}.safetensors")
        logs.write_csv(tmp_path / f"{name}.csv", rows)
    for suffix in (".safetensors", ".csv"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    loaded = Checkpoint.load(tmp_path / "a.safetensors")
    assert scores(world, short, loaded) == scores(world, short, checkpoint)


def test_the_threshold_comes_from_val_alone(world, options):
    checkpoint, _ = fit(world, options)
    before = scores(world, options, checkpoint)["without_proposals"]

    gold = files.read_json(world.paths["annotations"])
    for i in range(30, 36):
        gold[f"video{i}"]["event_coreference"] = [[0, 4]]
    files.write_json(world.paths["annotations"], gold)
    after = scores(world, options, checkpoint)["without_proposals"]
    assert after["test"]["systems"]["milo"]["threshold"] == before["val"]["systems"]["milo"]["threshold"]
    assert after["val"] == before["val"] and after["test"] != before["test"]


def test_no_positive_pair_in_val_says_what_to_give(world, options):
    gold = files.read_json(world.paths["annotations"])
    for i in range(24, 30):
        gold[f"video{i}"]["event_coreference"] = []
    files.write_json(world.paths["annotations"], gold)
    with pytest.raises(UserError, match="val has no pair"):
        fit(world, options)


def test_nothing_to_train_on(world, options):
    captions = files.read_json(world.paths["captions"])
    for entry in captions.values():
        entry["captions"] = []
    files.write_json(world.paths["captions"], captions)
    with pytest.raises(UserError, match="no training video"):
        fit(world, options)


@pytest.mark.parametrize("wrong", [{"start": 0.0, "text": "x"}, {"start": 0.0, "duration": 1.0, "text": None}])
def test_captions_of_another_form_are_not_trained_on(world, options, wrong):
    captions = files.read_json(world.paths["captions"])
    captions["video00"]["captions"][0] = wrong
    captions["video01"]["captions"] = None
    files.write_json(world.paths["captions"], captions)
    with world.open(options) as inputs:
        assert train.usable(inputs) == [f"video{i:02d}" for i in range(2, 24)]


def test_command_lines_and_table(world, options, tmp_path, capsys):
    paths = world.paths
    files.write_json(tmp_path / "s3d.json", {"network": "s3d", "name": "untrained", "trained": False, "sha256": "x"})
    common = (paths["captions"], paths["annotations"], paths["objects"], [paths["s3d"]], paths["words"])
    checkpoint, log, out = tmp_path / "milo.safetensors", tmp_path / "log.csv", tmp_path / "coref_eval.json"
    train.main(*common, checkpoint, log, tmp_path / "curves.svg", None, json.dumps(as_dict(options)), "cpu")
    whole = json.dumps({"coref": as_dict(options)})
    evaluate.main(checkpoint, *common, out, [tmp_path / "s3d.json"], whole, "cpu")
    written = json.loads(out.read_text())
    assert "untrained networks (s3d)" in written["notes"][0]
    assert written["provenance"]["specs"]["s3d.hdf5"] == {"stage": "synthetic"}
    assert log.read_text().startswith("epoch,loss,val_f1_without_proposals,")
    summary.main(out)
    assert "MILO" in capsys.readouterr().out
    assert Coref.model_validate(Checkpoint.load(checkpoint).about["options"]) == options
