import math

import pytest
import torch
from tiny import CLASSES, NO_DROPOUT, VIDEO, WORD, batch
from torch.nn import functional as F

from pipeline_lib.config.moments_model import Loss
from pipeline_lib.moments import losses, model, saliency
from pipeline_lib.moments.batch import Targets
from pipeline_lib.moments.outputs import Reconstruction


def targets(**changes):
    """Of one query with one moment, a row, a word."""
    yes, zero = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.int64)
    kept = Targets(torch.tensor([[[0.2, 0.6]]]), yes, yes, yes.float(), zero, zero, zero, ~yes, ~yes, zero[0])
    return kept._replace(**changes)


def test_spans_and_labels_of_a_layer():
    logits = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    predicted = torch.tensor([[[0.9, 0.1], [0.3, 0.2]]])
    found = losses.matched(logits, predicted, targets(), Loss())
    assert found["loss_span"].item() == pytest.approx((0.1 + 0.2) / 2)
    assert found["loss_giou"].item() == pytest.approx(1 - 0.5)
    background, foreground = -math.log(1 / (1 + math.e)), math.log(2)
    assert found["loss_label"].item() == pytest.approx((0.1 * background + foreground) / 2, rel=1e-5)
    assert found["class_error"].item() == 0


def test_class_error():
    found = losses.matched(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0.4, 0.4]]]), targets(), Loss())
    assert found["class_error"].item() == 100
    assert found["loss_span"].item() == pytest.approx(0, abs=1e-7)


def test_rows_of_another_sentence_are_not_salient():
    found = saliency.unlike(torch.tensor([[0.0, 1.0, 5.0]]), torch.tensor([[True, True, False]]))
    assert found.item() == pytest.approx(math.log(2) + math.log(1 + math.e))
    assert saliency.unlike(torch.tensor([[100.0]]), torch.tensor([[True]])).item() == 100  # upstream: infinite


def test_rank_contrast_of_labels_0_and_1():
    scores, others = torch.tensor([[1.0, 0.0, 9.0]]), torch.tensor([[0.5, -0.5, 9.0]])
    mask = torch.tensor([[True, True, False]])
    found = saliency.ranks(scores, others, torch.tensor([[1.0, 0.0, 0.0]]), torch.stack((mask, mask)), divisor=12)
    exponents = [math.exp(2 * score) for score in (1, 0, 0.5, -0.5)]
    assert found.item() == pytest.approx(-math.log(exponents[0] / sum(exponents)) / 12, rel=1e-5)


def test_rank_contrast_of_levels():
    """Labels 3 and 1: level 1 has both rows as positives, levels 2 and 3 the first, the others none."""
    scores, others = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.zeros(2, 2)
    mask = torch.ones(2, 2, 2, dtype=torch.bool)
    found = saliency.ranks(scores, others, torch.tensor([[3.0, 1.0], [0.0, 0.0]]), mask, divisor=1)
    whole = math.log(math.exp(2) + 3)
    expected = (whole - (2 + 0) / 2) + 2 * (whole - 2)
    assert found.item() == pytest.approx(expected / 2, rel=1e-5)  # the second query adds 0


def test_the_highest_label_counts_on_eleven_levels():
    found = saliency.ranks(
        torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([[12.0, 0.0]]), torch.ones(2, 1, 2).bool(), 1
    )
    assert found.item() == pytest.approx(11 * math.log(4), rel=1e-5)


def test_triplets():
    scores = torch.tensor([[0.0, 1.0, 0.9]])
    found = saliency.triplets(scores, torch.tensor([[1, 1]]), torch.tensor([[0, 2]]), margin=0.2)
    assert found.item() == pytest.approx(2 * (0 + 0.1) / 2)


def test_words_with_smoothed_labels():
    logits = torch.tensor([[[1.0, 0.0], [5.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]]])
    labels = torch.tensor([[0, 0], [1, 0]])
    mask = torch.tensor([[True, False], [True, True]])
    likely = math.log(math.e / (1 + math.e)), math.log(1 / (1 + math.e))
    first = -(0.9 * likely[0] + 0.1 / 2 * sum(likely))
    assert losses.words(logits, labels, mask, 0.1).item() == pytest.approx((first + math.log(2)) / 2)


def sentence_loss(moments, groups, rows=None, words=None, moments_mask=None):
    n = len(moments)
    moments = torch.tensor(moments)
    mask = torch.ones(n, moments.shape[1], dtype=torch.bool) if moments_mask is None else torch.tensor(moments_mask)
    eye = torch.eye(n)[:, None]
    found = Reconstruction(
        torch.zeros(n, 1), eye if rows is None else rows, eye if words is None else words,
        torch.ones(n, 1, dtype=torch.bool), None,
    )  # fmt: skip
    goals = targets(moments=moments, moments_mask=mask, inside=torch.ones(n, 1, dtype=torch.bool))
    return losses.sentences(found, goals, torch.tensor(groups), Loss()).item()


def test_sentences_of_different_moments_are_negatives():
    whole = math.log(math.exp(2) + 1)
    assert sentence_loss([[[0.0, 0.2]], [[0.5, 1.0]]], [2]) == pytest.approx(whole - 2)
    assert sentence_loss([[[0.0, 0.2]], [[0.0, 0.2]]], [1, 1]) == pytest.approx(whole - 2)  # of different groups


def test_sentences_of_one_moment_are_positives_of_each_other():
    whole = math.log(math.exp(2) + 1)
    assert sentence_loss([[[0.0, 0.2]], [[0.0, 0.2]]], [2]) == pytest.approx(whole - (2 + 0) / 2)
    far = [[[0.0, 0.2], [0.7, 1.0]], [[0.0, 1.0], [0.0, 0.0]]]  # from the first's start to the last's end: alike
    assert sentence_loss(far, [2], moments_mask=[[True, True], [True, False]]) == pytest.approx(whole - 1)


def test_terms_of_a_batch():
    net = model.initial(NO_DROPOUT, VIDEO, WORD, CLASSES, 0)
    example = batch(moments=2)
    options = Loss(triplet=True)
    found = losses.terms(net(example), example, options)
    weighted = (
        10 * (found["loss_span"] + found["loss_span_0"])
        + (found["loss_giou"] + found["loss_giou_0"])
        + 4 * (found["loss_label"] + found["loss_label_0"])
        + 4 * found["loss_saliency"]
        + 0.1 * (found["loss_rec_fw"] + found["loss_rec_ss"])
    )
    assert found["loss"].item() == pytest.approx(weighted.item(), rel=1e-5)
    assert set(found) - {"loss"} == {
        *(f"{name}{end}" for name in ("loss_span", "loss_giou", "loss_label", "class_error") for end in ("", "_0")),
        *("loss_saliency", "loss_rec_fw", "rec_fw_acc", "loss_rec_ss"),
    }


def test_terms_that_are_off():
    off = NO_DROPOUT.model_copy(update={"recfw": False, "recss": False})
    example = batch()
    found = losses.terms(model.initial(off, VIDEO, WORD, CLASSES, 0)(example), example, Loss(auxiliary=False))
    assert set(found) == {"loss", "loss_span", "loss_giou", "loss_label", "class_error", "loss_saliency"}


def test_evaluation_has_no_loss():
    net, example = model.initial(NO_DROPOUT, VIDEO, WORD, CLASSES, 0), batch()
    with pytest.raises(ValueError, match="without targets"):
        losses.terms(net(example._replace(targets=None)), example, Loss())


DEGENERATE = {
    "no moments": lambda t: {"moments_mask": t.moments_mask & False, "inside": t.inside & False},
    "no relevant rows": lambda t: {"inside": t.inside & False, "saliency": t.saliency * 0},
    "moments of no length": lambda t: {"moments": t.moments[..., :1].expand(-1, -1, 2)},
    "one group": lambda t: {"others": torch.full_like(t.others, -1)},
    "all words masked and unknown": lambda t: {"masked": t.masked | True, "unknown": t.unknown | True},
}


@pytest.mark.parametrize("what", DEGENERATE)
@pytest.mark.parametrize("head_masks", ["mended", "as_published"])
def test_degenerate_batches_give_numbers(what, head_masks):
    net = model.initial(NO_DROPOUT.model_copy(update={"head_masks": head_masks}), VIDEO, WORD, CLASSES, 0)
    example = batch(moments=2)
    example = example._replace(targets=example.targets._replace(**DEGENERATE[what](example.targets)))
    found = losses.terms(net(example), example, Loss(triplet=True))
    found["loss"].backward()
    assert all(value.isfinite() for value in found.values()), found
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_sentence_without_words():
    net = model.initial(NO_DROPOUT, VIDEO, WORD, CLASSES, 0)
    example = batch(words=(4, 0, 3))
    found = losses.terms(net(example), example, Loss())
    found["loss"].backward()
    assert found["loss"].isfinite()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_query_of_the_only_group_has_no_negatives():
    net, example = model.initial(NO_DROPOUT, VIDEO, WORD, CLASSES, 0), batch()
    alone = example._replace(targets=example.targets._replace(others=torch.tensor([-1, 2, 0])))
    outputs = net(alone)
    mask = example.video_mask[example.of_video]
    lonely = saliency.unlike(outputs.reconstruction.other_saliency, mask & (alone.targets.others >= 0)[:, None])
    kept = F.softplus(outputs.reconstruction.other_saliency[1:]) * mask[1:]
    assert lonely.item() == pytest.approx(kept.sum().item() / 3, rel=1e-5)
