"""The five published configurations have the values of specs mesm §6."""

from pathlib import Path

import pytest
import yaml

from pipeline_lib import config
from pipeline_lib.config.moments import Moments
from pipeline_lib.core.errors import UserError

ROOT = Path(__file__).parents[2]
ROWS = {  # batch, eval, clip_len, max_words, max_video, vocabulary, files, choose_by
    "charades_c_sf": (12, 30, 1, 16, 194, 1111, 2, "mAP"),
    "charades_vgg": (12, 30, 0.17, 16, 600, 1111, 1, "mAP"),
    "charades_cg": (12, 30, 1, 16, 194, 1111, 2, "miou"),
    "tacos": (3, 5, -1, 16, 600, 1111, 1, "miou"),
    "qvhighlights": (12, 30, 2, 32, 75, 5000, 2, "mAP"),
}
#: Where one differs from the others: saliency, reconstructed words, label, rank, triplets, shared FFN, seed, gather, longest.
OTHERS = {
    "charades_c_sf": (4, 0.1, 4, 12, False, True, 2019, None, 150),
    "charades_vgg": (4, 0.1, 4, 12, False, True, 2019, None, 150),
    "charades_cg": (4, 0.1, 4, 12, False, True, 2019, None, 150),
    "tacos": (1, 0.1, 6, 1, True, False, 2019, 10, 1000),
    "qvhighlights": (1, 0.5, 4, 12, True, True, 2018, None, 150),
}


@pytest.mark.parametrize("name", ROWS)
def test_values(name):
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())["moments"]
    overlay = yaml.safe_load((ROOT / f"config/moments_{name}.yaml").read_text())["moments"]
    merged = {
        key: {**value, **overlay.get(key, {})} if isinstance(value, dict) else overlay.get(key, value)
        for key, value in demo.items()
    }  # as Snakemake merges them
    found = Moments.model_validate(merged)
    data, loss, training, model = found.data, found.loss, found.training, found.model
    assert ROWS[name] == (
        training.batch_videos,
        found.prediction.batch_videos,
        data.clip_len,
        data.max_words,
        data.max_video,
        data.vocabulary_size,
        len(found.features),
        training.choose_by,
    )
    assert OTHERS[name] == (
        loss.saliency_coef,
        loss.recfw_coef,
        loss.label_coef,
        loss.rank_coef,
        loss.triplet,
        model.share_mlp,
        training.seed,
        data.max_gather,
        found.prediction.longest,
    )
    assert loss.cost_class == loss.label_coef
    assert data.uncounted_words == ("as_published" if name == "tacos" else "own_vectors")
    assert (training.epochs, training.optimiser, training.learning_rate) == (200, "adamw", 2e-4)
    assert (training.weight_decay, training.clip_norm, training.decay_every) == (1e-4, 0.1, 400)
    # everything else of the network and the loss is published, too, which the sections' defaults are
    published = Moments(model=model, loss=loss, data=data)
    kept = {"share_mlp", "context", "max_words"}
    assert model.model_copy(update={key: getattr(Moments().model, key) for key in kept}) == Moments().model
    assert published.data.use_tef and data.normalise_video and data.normalise_text and not data.standardise


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dataset": "tacos"}, "moments.annotations is missing; dataset tacos is read from files that it names"),
        ({"dataset": "tacos", "annotations": "a", "features": ["f"]}, "moments.data.vocabulary is missing"),
        ({"data": {"tokenizer": "glove_pkl"}}, "moments.data.vocabulary is missing; tokenizer glove_pkl"),
        ({"data": {"max_words": 20}}, r"moments.model.max_words \(16\) and moments.data.max_words \(20\) differ"),
        ({"data": {"clip_len": 0}}, "moments.data.clip_len = 0: give seconds above 0, or -1"),
        ({"dataset": "qvhighlights", "data": {"contra_samples": 3}}, "contra_samples must be 2 with qvhighlights"),
        ({"splits": {"test": []}}, "moments.splits.test"),
    ],
)
def test_impossible_sections_are_named(section, message):
    with pytest.raises(UserError, match=message):
        config.load({"moments": section})
