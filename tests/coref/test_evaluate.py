import json
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
import yaml

from pipeline_lib.config import Config, load
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref
from pipeline_lib.core import device, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import baselines, evaluate, measuring, predictions, train
from pipeline_lib.coref.checkpoint import Checkpoint, dimensions
from pipeline_lib.coref.evaluation_items import items
from pipeline_lib.coref.inputs import Moments
from pipeline_lib.coref.model import initial_network
from pipeline_lib.coref.names import PROTOCOLS, WITH, WITHOUT
from pipeline_lib.coref.operating_point import OperatingPoint
from pipeline_lib.coref.scoring import Scores
from pipeline_lib.text import vectors

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    device.deterministic()


def configured(options, **evaluation):
    return Coref.model_validate(as_dict(options) | {"evaluation": as_dict(options.evaluation) | evaluation})


def checkpoint(world, options):
    """A network that was never trained, as if it had been."""
    with world.open(options) as inputs:
        net, _ = initial_network(options.model, dimensions(inputs, "video00"), seed=5)
    return Checkpoint(net.state_dict(), Moments.identity(16, 16), {"epoch": 0})


def assess(world, options, spaces={}):  # noqa: B006 (not changed)
    with world.open(options) as inputs:
        return evaluate.assess(inputs, checkpoint(world, options), options, CPU, spaces)


def gold(world, change):
    content = files.read_json(world.paths["annotations"])
    change(content)
    files.write_json(world.paths["annotations"], content)


def split(content, wanted):
    return [entry for entry in content.values() if entry["split"] == wanted]


def test_every_system_has_every_metric_and_a_difference(world, options):
    found = assess(world, options)
    for protocol in PROTOCOLS:
        for name in ("val", "test"):
            result = found.results[protocol][name]
            assert set(result) == {
                "counts",
                "left_out",
                "milo_minus",
                "sentences_per_article",
                "systems",
            }
            assert list(result["systems"]) == ["milo", "untrained_network", "random", "all_positive"]
            for system, other in result["milo_minus"].items():
                for metric in ("precision", "recall", "f1", "average_precision", "accuracy"):
                    mine, its = (result["systems"][one][metric]["value"] for one in ("milo", system))
                    assert other[metric]["value"] == pytest.approx(mine - its, abs=2e-6)


def test_only_the_configured_baselines(world, options):
    found = assess(world, configured(options, baselines=["random"]))
    assert list(found.results[WITHOUT]["test"]["systems"]) == ["milo", "random"]


def test_the_pretrained_network_goes_by_its_name(world, options, tmp_path):
    with world.open(options) as inputs:
        net, _ = initial_network(options.model, dimensions(inputs, "video00"), seed=9)
    torch.save(net.state_dict(), tmp_path / "howto100m_pt_model.pth")
    model = options.model.model_copy(update={"pretrained": str(tmp_path / "howto100m_pt_model.pth")})
    found = assess(world, options.model_copy(update={"model": model}))
    assert "howto100m" in found.results[WITHOUT]["test"]["systems"]
    assert "untrained_network" not in found.results[WITHOUT]["test"]["systems"]


def test_metrics_by_event_type_add_up_without_proposals(world, options):
    result = assess(world, options).results[WITHOUT]["test"]
    types = result["systems"]["milo"]["by_event_type"]
    assert set(types) <= {"burns", "floats", "falls", "turns"}
    for key, total in (("events", "clips"), ("pairs", "pairs"), ("positive_pairs", "positive_pairs")):
        assert sum(own[key] for own in types.values()) == result["counts"][total]


def test_intervals_of_a_type_come_from_the_draws_of_its_videos():
    """Only the second video has a storm, and no resample draws it."""
    found, scores = [], []
    for kind in ("fire", "storm"):
        one = np.ones((1, 1))
        found.append(SimpleNamespace(events=[{"type": kind}], stands=one.astype(bool), missed_of=np.zeros(1, int)))
        scores.append(Scores(kind, {"combined": one}, one.astype(bool), 0))
    drawn = np.array([[2.0, 0.0], [2.0, 0.0]])
    types = measuring.by_event_type(found, scores, OperatingPoint(0.5, "combined"), drawn)
    assert types["fire"]["recall"] == {"value": 1.0, "ci95": [1.0, 1.0]}
    assert types["storm"]["recall"] == {"value": 1.0, "ci95": [0.0, 0.0]}


def test_events_without_a_type_are_in_none(world, options):
    gold(world, lambda content: [event.pop("type") for entry in content.values() for event in entry["events"]])
    assert assess(world, options).results[WITHOUT]["test"]["systems"]["milo"]["by_event_type"] == {}


def test_protocols_of_the_threshold(world, options):
    fixed = assess(world, configured(options, protocol="fixed", sim_threshold=0.13)).results[WITHOUT]["test"]
    milo = fixed["systems"]["milo"]
    assert (milo["threshold"], milo["threshold_from"], milo["similarity"]) == (0.13, "fixed", "combined")
    assert all(one["threshold"] == 0.13 for one in milo["f1_by_similarity"].values())
    published = assess(world, configured(options, protocol="as_published")).results[WITHOUT]["val"]["systems"]["milo"]
    assert 0.08 <= published["threshold"] <= 0.16
    best = max(published["f1_by_similarity"].values(), key=lambda one: one["f1"])
    assert published["f1"]["value"] == best["f1"]


def test_a_configuration_that_is_no_json(world, tmp_path):
    paths = world.paths
    common = (paths["captions"], paths["annotations"], paths["objects"], [paths["s3d"]], paths["words"])
    with pytest.raises(UserError, match=r"--config coref: {} is not a JSON object"):
        evaluate.main(tmp_path / "milo.safetensors", *common, tmp_path / "out.json", [], "coref: {}", "cpu")


def test_a_fixed_threshold_needs_no_val(world, options):
    gold(world, lambda content: [entry.update(split="train") for entry in split(content, "val")])
    result = assess(world, configured(options, protocol="fixed")).results[WITHOUT]
    assert list(result) == ["test"]


def test_settings_leave_out_what_has_no_effect(options):
    said = evaluate.settings(configured(options, matching="overlap").evaluation)
    assert "min_iou" not in said and "sim_threshold" not in said and said["min_overlap"] == 0.5
    assert "thresholds" not in evaluate.settings(configured(options, protocol="fixed").evaluation)


@pytest.mark.parametrize("option", [{"dimension": 16}, {"normalise": "candidate_axis"}])
def test_a_checkpoint_of_another_network_is_refused(world, options, option):
    trained = checkpoint(world, options)
    trained.about["options"] = as_dict(options)
    other = options.model_copy(update={"model": options.model.model_copy(update=option)})
    (name,) = option
    with world.open(options) as inputs, pytest.raises(UserError, match=rf"trained with coref.model.{name} .*, not"):
        evaluate.assess(inputs, trained, other, CPU)


def test_a_checkpoint_for_other_inputs_is_refused(world, options):
    trained = checkpoint(world, options)
    longer = trained.moments._replace(clip_mean=np.zeros(32, "f4"), clip_std=np.ones(32, "f4"))
    with (
        world.open(options) as inputs,
        pytest.raises(UserError, match=r"clip features have 16 numbers, .* made for 32"),
    ):
        evaluate.assess(inputs, Checkpoint(trained.state, longer, trained.about), options, CPU)
    vectors.derive(["the truck burns", "a boat floats"], 8).save(world.paths["words"])
    with (
        world.open(options) as inputs,
        pytest.raises(UserError, match=r"text_pooling.fc.weight.*words that it was trained"),
    ):
        evaluate.assess(inputs, trained, options, CPU)


@pytest.mark.parametrize(
    "evaluation",
    [
        {},
        {"protocol": "as_published", "temperature": 0.2},  # chooses global similarity
        {"thresholds": "val_scores", "temperature": 1e5},  # scores differ in the seventh digit
    ],
)
def test_predictions_are_those_that_were_measured(world, options, tmp_path, evaluation):
    """The page's own reader takes the file, and its counts give the reported precision and recall."""
    found = assess(world, configured(options, **evaluation))
    content = {"task": "t", "notes": [], "system": "milo", "protocols": found.predictions}
    files.write_json(tmp_path / "predictions.json", content)
    read = predictions.read(tmp_path / "predictions.json")
    for protocol in PROTOCOLS:
        own = read.protocols[protocol]
        for name in ("val", "test"):
            counts = predictions.Counts()
            for video in own.videos:
                if video.split == name:
                    counts = counts.plus(video.counts(own.threshold, own.similarity))
            reported = found.results[protocol][name]["systems"]["milo"]
            assert counts.precision == pytest.approx(reported["precision"]["value"], abs=1e-6)
            assert counts.recall == pytest.approx(reported["recall"]["value"], abs=1e-6)
    chosen = "global" if "protocol" in evaluation else "combined"
    assert {own.similarity for own in read.protocols.values()} == {chosen}
    video = read.protocols[WITHOUT].videos[0]
    assert (video.video_id, video.duration, video.title) == ("video24", 18.0, "video24")
    assert [(clip.start, clip.end) for clip in video.clips] == [(0.0, 5.9), (6.0, 11.9), (12.0, 17.9)]
    # Rows round(0/3) to round(5.9/3), best first: (0, 0), (1, 0), (2, 0).
    assert [one.time for one in video.clips[0].objects] == [0.0, 3.0, 6.0]
    assert [one.score for one in video.clips[0].objects] == [0.9, 0.9, 0.9]
    assert np.shape(video.object_scores) == (3, 5, 3)


def test_objects_say_which_box_they_are(world, options):
    with h5py.File(world.paths["objects"], "a") as file:
        file["video24"]["boxes"][1, 0] = [1.25, 2, 30, 40]
        file["video24"]["labels"][1, 0] = 7
    clip = assess(world, options).predictions[WITHOUT]["videos"][0]["clips"][0]
    assert clip["objects"][1] == {"time": 3.0, "box": [1.2, 2.0, 30.0, 40.0], "label": 7, "score": pytest.approx(0.9)}


class TestNothingIsLost:
    """Videos that can't be measured are left out with their reason; the others are measured."""

    def test_reasons(self, world, options):
        def change(content):
            content["video30"]["article_sentences"], content["video30"]["event_coreference"] = [], []
            content["video31"]["event_coreference"] = [[3, 0]]
            content["video32"]["event_coreference"] = [[-1, 0]]
            content["gone"] = content["video33"]

        gold(world, change)
        with h5py.File(world.paths["s3d"], "a") as file:
            file["video34"][0, 0] = np.nan
        with h5py.File(world.paths["objects"], "a") as file:
            del file["video35"]
        for protocol, result in assess(world, options).results.items():
            left_out = result["test"]["left_out"]
            assert set(left_out) == {"video30", "video31", "video32", "video34", "video35", "gone"}, protocol
            assert "no sentences" in left_out["video30"]
            assert "[3, 0] is beyond its 3 events or 5 sentences" in left_out["video31"]
            assert "[-1, 0] is beyond" in left_out["video32"]
            assert "NaN" in left_out["video34"]
            assert left_out["video35"] == "no features in objects.hdf5"
            assert result["test"]["counts"]["videos"] == 1

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda entry: entry.pop("duration"), "duration is missing"),
            (lambda entry: entry["events"][0].update(start="x"), "events.0.start = 'x'"),
            (lambda entry: entry["events"][0].update(end=float("nan")), "events.0.end = nan"),
            (lambda entry: entry.update(event_coreference=[[0]]), "event_coreference.0.1 is missing"),
        ],
    )
    def test_an_annotation_of_another_form(self, world, options, change, reason):
        content = files.read_json(world.paths["annotations"])
        change(content["video30"])
        world.paths["annotations"].write_text(json.dumps(content))
        for result in assess(world, options).results.values():
            assert list(result["test"]["left_out"]) == ["video30"] and result["test"]["counts"]["videos"] == 5
            assert reason in result["test"]["left_out"]["video30"]

    def test_what_an_annotation_may_leave_out(self, world, options):
        gold(
            world, lambda content: [content["video30"].pop(key) for key in ("temporal_proposals", "event_coreference")]
        )
        assert assess(world, options).results[WITH]["test"]["counts"]["videos"] == 6

    @pytest.mark.parametrize("content", [[], {"a": 1}, {"a": {"split": "testing"}}])
    def test_another_file_than_annotations(self, world, options, content):
        files.write_json(world.paths["annotations"], content)
        with pytest.raises(UserError, match=r"annotations\.json.*give annotations\.json"):
            assess(world, options)

    def test_features_without_rows(self, world, options):
        with h5py.File(world.paths["s3d"], "a") as file:
            for video_id in ("video01", "video30"):
                del file[video_id]
                file[video_id] = np.zeros((0, 16), "f4")
        for result in assess(world, options).results.values():
            assert result["test"]["left_out"] == {"video30": "no rows in s3d.hdf5"}
        with world.open(options) as inputs:
            assert "video01" not in train.usable(inputs)

    def test_a_baseline_that_lacks_a_video_takes_it_from_all(self, world, options):
        class Space:
            def why_not(self, video_id):
                return "no features in clip.hdf5" if video_id == "video30" else None

            def score(self, found, wanted):
                return baselines.random(found, "per_clip", 0)

        result = assess(world, options, {"clip": Space()}).results[WITHOUT]["test"]
        assert result["left_out"] == {"video30": "no features in clip.hdf5"} and result["counts"]["videos"] == 5
        assert "clip" in result["systems"]

    def test_a_protocol_that_can_t_be_measured_doesn_t_take_the_other_with_it(self, world, options):
        gold(world, lambda content: [entry.update(temporal_proposals=[]) for entry in content.values()])
        found = assess(world, options)
        assert set(found.results) == {WITHOUT}
        assert "val has no positive pair (with proposals)" in found.skipped[WITH]
        assert "temporal_proposals" in found.skipped[WITH]

    def test_no_positive_pair_in_val(self, world, options):
        gold(world, lambda content: [entry.update(event_coreference=[]) for entry in split(content, "val")])
        with pytest.raises(UserError, match=r"val has no positive pair .* give it videos with event_coreference"):
            assess(world, options)

    def test_no_test_videos(self, world, options):
        gold(world, lambda content: [entry.update(split="train") for entry in split(content, "test")])
        with pytest.raises(UserError, match="there are no test videos; give some"):
            assess(world, options)

    def test_all_videos_left_out(self, world, options):
        gold(world, lambda content: [entry.update(events=[], event_coreference=[]) for entry in split(content, "test")])
        with pytest.raises(UserError, match="all 6 videos of test are left out, for example video30: no event"):
            assess(world, options)


def test_articles_of_one_sentence_are_told(world, options):
    def shorten(content):
        for video_id in ("video30", "video31"):
            content[video_id]["article_sentences"] = content[video_id]["article_sentences"][:1]
            content[video_id]["event_coreference"] = [[0, 0]]

    gold(world, shorten)
    found = assess(world, options)
    lengths = found.results[WITHOUT]["test"]["sentences_per_article"]
    assert lengths["articles_by_length"] == {"1": 2, "5": 4}
    assert lengths["one_sentence_share"] == pytest.approx(1 / 3, abs=1e-6) and lengths["median"] == 5
    said = evaluate.notes({}, Config(), found)
    assert any("33% of the test articles have one sentence" in note for note in said)


def test_matching_rule_reaches_the_items(world, options):
    """Proposals [0, 5.8], [5.8, 12.2], [12.2, 18] and events of 5.9 s: all match; at IoU ≥ .99 none."""
    with world.open(options) as inputs:
        for rule, matched in (({"min_iou": 0.9}, 3), ({"min_iou": 0.99}, 0), ({"matching": "centre_inside"}, 3)):
            wanted = configured(options, **rule).evaluation
            found, _ = items(inputs, "val", WITH, Moments.identity(16, 16), wanted)
            assert found[0].stands.sum() == matched and found[0].missed == 3 - matched


def test_the_overlay_with_all_baselines_is_valid():
    root = Path(__file__).parents[2]
    config = load(yaml.safe_load((root / "config/coref_baselines.yaml").read_text()))
    assert {"clip", "mil_nce"} <= set(config.coref.evaluation.baselines)


def test_command_line_writes_predictions(world, options, tmp_path):
    paths = world.paths
    checkpoint(world, options).save(tmp_path / "milo.safetensors")
    out, made = tmp_path / "coref_eval.json", tmp_path / "predictions.json"
    common = (paths["captions"], paths["annotations"], paths["objects"], [paths["s3d"]], paths["words"])
    whole = json.dumps({"coref": as_dict(options)})
    evaluate.main(tmp_path / "milo.safetensors", *common, out, [], whole, "cpu", made)
    content = files.read_json(out)
    assert content["protocol"]["protocol"] == "chosen_on_val" and content["skipped"] == {}
    assert predictions.read(made).notes == content["notes"]
