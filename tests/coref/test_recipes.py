"""The recipes of the original's README, value by value."""

from pathlib import Path

import pytest
import yaml

from pipeline_lib import config
from pipeline_lib.core.errors import UserError

ROOT = Path(__file__).parents[2]
DATA = {"max_words": 30, "look_window": 2, "candidates": 5, "candidates_eval": 5, "min_confidence": 0.6, "n_pair": 36}
TRAINING = {"learning_rate": 1e-4, "decay": 1.0, "batch_videos": 1, "margin": 0.1, "temperature": 1.0, "seed": 1}
RECIPES = {"milo_no_proposals": (20, 0.25), "milo_with_proposals": (15, 0.5)}


def merged(base, overlay):
    """As snakemake lays one configuration over another."""
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return overlay
    return base | {key: merged(base.get(key), value) for key, value in overlay.items()}


def values(name):
    texts = (ROOT / "config.yaml", ROOT / f"config/{name}.yaml")
    return merged(*(yaml.safe_load(path.read_text()) for path in texts))


@pytest.mark.parametrize("name", RECIPES)
def test_values_are_those_of_the_readme(name):
    epochs, threshold = RECIPES[name]
    loaded = config.load(values(name))
    coref = loaded.coref
    assert coref.features == ["resnet152", "resnext101"]
    assert DATA.items() <= coref.data.model_dump().items()
    assert not coref.data.standardise and not coref.data.fold_case
    assert coref.model.dimension == 6144 and coref.model.normalise == "candidate_axis"
    assert coref.model.pretrained == "model/howto100m_pt_model.pth"
    assert TRAINING.items() <= coref.training.model_dump().items()
    assert coref.training.epochs == epochs and coref.training.loss == "mmr_text_video+nce_text_object"
    assert (coref.training.weight_video, coref.training.weight_objects) == (1.0, 1.0)
    assert not coref.training.negative_weighting
    assert coref.evaluation.weight_global == 0.3 and coref.evaluation.temperature == 1.0
    assert (coref.evaluation.protocol, coref.evaluation.sim_threshold) == ("fixed", threshold)
    assert coref.evaluation.thresholds == [round(0.01 * i, 2) for i in range(8, 17)]


@pytest.mark.parametrize("name", RECIPES)
def test_rows_come_at_the_rates_of_the_loaders(name):
    features = config.load(values(name)).features
    assert features.resnet152.fps == 1.0 and features.resnext101.fps / features.resnext101.frames == 1.5
    assert values(name)["frames"]["every"] == 3.0 and features.objects.boxes == 10
    assert (features.objects.short_side, features.objects.max_side, features.objects.proposals) == (600, 1000, 300)


@pytest.mark.parametrize("name", RECIPES)
def test_every_value_says_where_it_is_from(name):
    lines = (ROOT / f"config/{name}.yaml").read_text().splitlines()
    given = [line for line in lines if line.strip() and not line.startswith("#") and not line.endswith(":")]
    assert len(given) > 40 and [line for line in given if " # " not in line] == []


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match=r"weights\.objects = 'model/faster_rcnn_res101_vg\.pth': no such file"):
        config.load(values("milo_no_proposals"), base=tmp_path)
