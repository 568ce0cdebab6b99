import numpy as np
import pytest
import torch

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.coref.evaluation_items import items
from pipeline_lib.coref.inputs import Moments
from pipeline_lib.coref.model import Dimensions, Net
from pipeline_lib.coref.scoring import KINDS, normalise, score

CPU = torch.device("cpu")


@pytest.fixture
def item(world, options):
    with world.open(options) as inputs:
        return items(inputs, "val", "without_proposals", Moments.identity(16, 16), options.evaluation)[0][0]


@pytest.fixture
def net(item):
    torch.manual_seed(0)
    return Net(Dimensions(16, item.words.shape[2], 16), 8)


def scored(net, item, **options):
    return score(net, [item], CorefEvaluation(**options), CPU)[0]


def by_hand(net, item):
    """Dot products of every clip and object with every sentence, one at a time."""
    with torch.inference_mode():
        video, text, objects = net(*(torch.from_numpy(a) for a in (item.clips, item.words, item.objects)))
    clips = [[float(v @ t) for t in text] for v in video]
    regions = [[np.mean([float(o @ t) for o in own]) for t in text] for own in objects]
    return np.array(clips), np.array(regions)


def test_as_published(net, item):
    """A softmax over the sentences of each clip, objects averaged before it, then a·global + (1 - a)·regional."""
    found = scored(net, item, weight_global=0.3)
    clips, regions = (np.exp(part) / np.exp(part).sum(axis=1, keepdims=True) for part in by_hand(net, item))
    assert np.allclose(found.by_kind["global"], clips, atol=1e-6)
    assert np.allclose(found.by_kind["regional"], regions, atol=1e-6)
    assert np.allclose(found.by_kind["combined"], 0.3 * clips + 0.7 * regions, atol=1e-6)
    assert np.allclose(found.by_kind["combined"].sum(axis=1), 1)


def test_a_of_one_half_is_the_plain_mean_of_the_older_script(net, item):
    found = scored(net, item, weight_global=0.5).by_kind
    assert np.allclose(found["combined"], (found["global"] + found["regional"]) / 2)


def test_none_leaves_cosines_and_the_temperature_out(net, item):
    clips, regions = by_hand(net, item)
    found = scored(net, item, softmax="none", temperature=0.1).by_kind
    assert np.allclose(found["global"], clips, atol=1e-6) and np.allclose(found["regional"], regions, atol=1e-6)
    assert np.abs(found["global"]).max() <= 1 + 1e-6


def test_per_video_sums_to_one_over_all_pairs(net, item):
    found = scored(net, item, softmax="per_video", temperature=0.5).by_kind
    for kind in KINDS:
        assert found[kind].sum() == pytest.approx(1, abs=1e-6)
    clips, _ = by_hand(net, item)
    assert np.allclose(found["global"], np.exp(2 * clips) / np.exp(2 * clips).sum(), atol=1e-6)


def test_one_sentence_is_always_one_per_clip():
    similarity = torch.tensor([[-0.9], [0.3]])
    assert normalise(similarity, "per_clip", 1.0).tolist() == [[1.0], [1.0]]  # § trap 5
    assert normalise(similarity, "none", 1.0) is similarity
    assert normalise(similarity, "per_video", 1.0).tolist() != [[1.0], [1.0]]


def test_products_with_each_object_are_kept(net, item):
    found = scored(net, item, softmax="none")
    assert found.by_object.shape == (3, 5, 3)
    assert np.allclose(found.by_object.mean(axis=2), found.by_kind["regional"], atol=1e-6)
