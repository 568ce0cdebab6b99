import json

import pytest

from pipeline_lib.config import load
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref
from pipeline_lib.core import device, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import ablation, factors, variant

NCE, MMR = "nce_video_text+nce_text_object", "mmr_text_video+nce_text_object"
SMALL = {"look_window": [0, 1], "candidates": [], "loss": [MMR], "weight_global": [0.0, 0.3], "seeds": [1, 2]}


@pytest.fixture
def wanted(options):
    changed = as_dict(options) | {"ablation": SMALL}
    changed["training"] |= {"epochs": 1}
    return Coref.model_validate(changed)


def run(factor, value, *f1):
    def scores(x):
        return {protocol: dict.fromkeys(ablation.METRICS, x) for protocol in ablation.PROTOCOLS}

    return {"factor": factor, "value": value, "seeds": [{"seed": i, "test": scores(x)} for i, x in enumerate(f1)]}


def test_each_factor_departs_from_the_configured_run(wanted):
    """0 and 0.3 are what is configured, so one window and one weight are left; the loss is the configured one."""
    assert factors.variants(wanted) == [("base", "base"), ("look_window", "1"), ("weight_global", "0.0")]
    assert factors.options_of(wanted, "base", "base") == wanted
    other = factors.options_of(wanted, "weight_global", "0.0")
    assert other.evaluation.weight_global == 0.0 and other.data == wanted.data
    many = factors.options_of(wanted.model_copy(update={"ablation": Coref().ablation}), "candidates", "10")
    assert (many.data.candidates, many.data.candidates_eval) == (10, 10)
    with pytest.raises(UserError, match="no factor"):
        factors.options_of(wanted, "window", "1")
    with pytest.raises(UserError, match="not among"):
        factors.options_of(wanted, "look_window", "7")


def test_table_by_hand(wanted):
    runs = [run("base", "base", 0.5, 0.7), run("look_window", "1", 0.2, 0.4), run("weight_global", "0.0", 0.1, 0.1)]
    found = ablation.table(runs, wanted)
    window = [(e["value"], e["configured"], e["with_proposals"]["f1"]["mean"]) for e in found["look_window"]]
    assert window == [(0, True, 0.6), (1, False, 0.3)]
    assert found["look_window"][0]["without_proposals"]["f1"] == {"mean": 0.6, "sd": 0.141421, "seeds": [0.5, 0.7]}
    assert [e["value"] for e in found["candidates"]] == [3] and found["candidates"][0]["configured"]
    lines = ablation.markdown(found, 2, ["generated"]).splitlines()
    assert "| look window | 0 (configured) | 0.600 ± 0.141 | 0.600 ± 0.141 |" in lines
    assert "| weight global | 0.0 | 0.100 ± 0.000 | 0.100 ± 0.000 |" in lines and lines[-1] == "- generated"


def test_a_protocol_that_could_not_be_measured(wanted, tmp_path):
    runs = [run("base", "base", 0.5, 0.7), run("look_window", "1", 0.2, 0.4), run("weight_global", "0.0", 0.1, 0.1)]
    for one in runs:
        for seed in one["seeds"]:
            del seed["test"]["with_proposals"]
    found = ablation.table(runs, wanted)
    assert "with_proposals" not in found["look_window"][0]
    assert "| look window | 1 | 0.300 ± 0.141 | – |" in ablation.markdown(found, 2, [])
    ablation.plot(tmp_path / "plot.svg", found)
    assert ">without proposals<" in (tmp_path / "plot.svg").read_text()


@pytest.mark.parametrize("runs", [[], [run("base", "base", 0.1), run("loss", NCE, 0.2)]])
def test_runs_of_another_configuration_are_refused(wanted, runs):
    with pytest.raises(UserError, match="don't fit the configuration"):
        ablation.table(runs, wanted)


def test_other_files_and_texts_are_refused(wanted, tmp_path):
    other = tmp_path / "other.json"
    other.write_text("[]")
    with pytest.raises(UserError, match=r"other\.json is no result of coref\.variant"):
        ablation.main([other], tmp_path / "out.json")
    with pytest.raises(UserError, match=r"--config { is not a JSON object"):
        ablation.main([other], tmp_path / "out.json", [], "{")


def test_commands(world, wanted, tmp_path):
    device.deterministic()
    paths = world.paths
    common = (paths["captions"], paths["annotations"], paths["objects"], [paths["s3d"]], paths["words"])
    written = []
    for factor, value in factors.variants(wanted):
        written.append(tmp_path / factor / f"{value}.json")
        options = json.dumps(as_dict(factors.options_of(wanted, factor, value)))
        variant.main(*common, factor, value, written[-1], options, "cpu")
        assert [entry.name for entry in written[-1].parent.iterdir()] == [f"{value}.json"]
    base, window, _ = map(files.read_json, written)
    assert [seed["seed"] for seed in base["seeds"]] == [1, 2] and base["seeds"] != window["seeds"]

    weights = tmp_path / "s3d.json"
    files.write_json(weights, {"network": "s3d", "name": "untrained", "trained": False, "sha256": "x"})
    whole = {"coref": as_dict(wanted), "source": {"kind": "local"}}
    out = tmp_path / "coref_ablation.json"
    ablation.main(written, out, [weights], json.dumps(as_dict(load(whole))))
    result = files.read_json(out)
    assert result["test"]["look_window"][1]["without_proposals"]["f1"]["seeds"] == [
        seed["test"]["without_proposals"]["f1"] for seed in window["seeds"]
    ]
    assert "untrained networks (s3d)" in result["notes"][0]
    before = out.with_suffix(".svg").read_bytes()
    ablation.main(written, out, [weights], json.dumps(as_dict(load(whole))))
    assert out.with_suffix(".svg").read_bytes() == before and ">look window<" in before.decode()
    assert "look window | 1 |" in out.with_suffix(".md").read_text()
