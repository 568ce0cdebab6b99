from pathlib import Path

import pytest
import yaml

from pipeline_lib import config
from pipeline_lib.core.errors import UserError

ROOT = Path(__file__).parents[2]


def merged(values, more):
    """As Snakemake merges --configfile into config.yaml."""
    return {
        **values,
        **{
            key: merged(values.get(key) or {}, value) if isinstance(value, dict) else value
            for key, value in more.items()
        },
    }


def load(more):
    return config.load(merged(yaml.safe_load((ROOT / "config.yaml").read_text()), more)).retrieval


@pytest.mark.parametrize(("name", "dataset", "threshold"), [("ek100", "epic100", 0.15), ("msrvtt", "msrvtt", 0.1)])
def test_published_recipes(name, dataset, threshold):
    found = load(yaml.safe_load((ROOT / f"config/retrieval_{name}.yaml").read_text()))
    assert (found.dataset, found.training.threshold, found.training.choose_by) == (dataset, threshold, "rsum")
    assert (found.model.dimension, found.training.epochs, found.training.batch_pairs) == (1024, 50, 64)
    assert (found.training.learning_rate, found.training.margin, found.training.margin_positive) == (1e-4, 0.2, 0.2)
    assert (found.training.max_violation, found.training.hard_topk, found.training.level_weights) == (True, 1, None)
    assert (found.model.dropout_video, found.model.dropout_text, found.model.dropout_graph) == (0.2, 0.2, 0.5)
    assert (found.data.max_frames, found.data.max_words, found.data.verbs, found.data.nouns) == (20, 30, 4, 6)
    assert found.evaluation.losses == ["contrastive", "ran", "ranp"]


def test_a_published_dataset_needs_its_files():
    with pytest.raises(UserError, match=r"retrieval.train.annotations is missing; dataset epic100 is read from files"):
        load({"retrieval": {"dataset": "epic100"}})
    files = {"annotations": "a.csv", "features": ["f.hdf5"]}
    with pytest.raises(UserError, match="needs role graphs: set retrieval"):
        load({"retrieval": {"dataset": "epic100", "train": files, "val": files, "test": files}})
