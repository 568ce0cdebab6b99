"""What the network says of a batch and what is true of it → the terms of the loss, and their weighted sum.

n: queries, Q: spans of a query, M: moments, L: rows, W: words. A query without moments, rows or words adds nothing where
they are asked for; upstream divides by zero there.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.config.moments_model import Loss
from pipeline_lib.moments import saliency, spans
from pipeline_lib.moments.batch import Batch, Targets
from pipeline_lib.moments.matching import match
from pipeline_lib.moments.outputs import Outputs, Reconstruction
from pipeline_lib.moments.scenes import Queries

FOREGROUND, BACKGROUND = 0, 1


def terms(outputs: Outputs, batch: Batch, options: Loss) -> dict[str, Tensor]:
    """Every term by its name, unweighted, and `loss`, the weighted sum.

    Terms of earlier decoder layers end in _0, _1, …; `class_error` and `rec_fw_acc` are percent and share, only logged.

    Raises:
        ValueError: the batch had no targets.
    """
    targets, found = batch.targets, outputs.reconstruction
    if targets is None or found is None:
        raise ValueError("a batch without targets has no loss")
    *earlier, last = zip(outputs.logits, outputs.spans, strict=True)
    terms = matched(*last, targets, options)
    for i, layer in enumerate(earlier if options.auxiliary else ()):
        terms |= {f"{name}_{i}": value for name, value in matched(*layer, targets, options).items()}
    mask = batch.video_mask[batch.of_video]
    terms["loss_saliency"] = saliency.loss(
        outputs.saliency,
        found.other_saliency,
        mask,
        mask & (targets.others >= 0)[:, None],
        targets.saliency,
        (targets.positive, targets.negative),
        options,
    )
    if found.logits is not None:
        terms["loss_rec_fw"] = words(found.logits, targets.labels, batch.words_mask, options.smoothing)
        right = (found.logits.argmax(-1) == targets.labels) & batch.words_mask
        terms["rec_fw_acc"] = right.sum() / batch.words_mask.sum().clamp(min=1)
    if found.words.shape[1] > batch.words_mask.shape[1]:  # a reconstructed sentence stands in front
        terms["loss_rec_ss"] = sentences(found, targets, batch.groups, options)
    weights = {
        "loss_span": options.span_coef,
        "loss_giou": options.giou_coef,
        "loss_label": options.label_coef,
        "loss_saliency": options.saliency_coef,
        "loss_rec_fw": options.recfw_coef,
        "loss_rec_ss": options.recss_coef,
    }
    counted = {name: weights.get(name.rstrip("_0123456789")) for name in terms}
    total = torch.stack([terms[name] * weight for name, weight in counted.items() if weight is not None]).sum()
    return {"loss": total, **terms}


def matched(logits: Tensor, predicted: Tensor, targets: Targets, options: Loss) -> dict[str, Tensor]:
    """Terms of one decoder layer, logits and spans (n, Q, 2); class_error: percent of matched ones that look like background."""
    pairs = match(logits, predicted, targets.moments, targets.moments_mask, options)
    one, moment = predicted[pairs.query, pairs.span], targets.moments[pairs.query, pairs.moment]
    count = max(len(one), 1)
    classes = torch.full(logits.shape[:2], BACKGROUND, device=logits.device)
    classes[pairs.query, pairs.span] = FOREGROUND
    weight = logits.new_tensor([1.0, options.eos_coef])
    wrong = logits[pairs.query, pairs.span].argmax(-1) != FOREGROUND
    return {
        "loss_span": (one - spans.centred(moment)).abs().sum() / (2 * count),
        "loss_giou": (1 - spans.giou(spans.ends(one), moment)).sum() / count,
        "loss_label": F.cross_entropy(logits.transpose(1, 2), classes, weight, reduction="none").mean(),
        "class_error": 100 * wrong.sum() / count,
    }


def words(logits: Tensor, labels: Tensor, mask: Tensor, smoothing: float) -> Tensor:
    """Cross entropy of all words (n, W), not of masked ones alone, as published: mean over a sentence, then over sentences."""
    each = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none", label_smoothing=smoothing)
    return ((each * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()


def sentences(found: Reconstruction, targets: Targets, groups: Tensor, options: Loss) -> Tensor:
    """InfoNCE: the rows of a query's moments against the sentences of the batch.

    Its own sentence is positive, and those of its group whose moments (from the first's start to the last's end) are
    almost its own; all others are negatives.
    """
    absent = ~targets.moments_mask
    start = targets.moments[..., 0].masked_fill(absent, torch.inf).amin(1)
    end = targets.moments[..., 1].masked_fill(absent, -torch.inf).amax(1)
    some = targets.moments_mask.any(1)
    hull = torch.stack((start, end), -1).masked_fill(~some[:, None], 0)
    group = Queries.of(groups).group
    positive = (spans.giou(hull[:, None], hull[None]) >= options.gamma) & (group[:, None] == group)
    positive &= some[:, None] & some
    positive |= torch.eye(len(group), dtype=torch.bool, device=group.device)
    moment, sentence = mean(found.rows, targets.inside), mean(found.words, found.words_mask)
    like = F.normalize(moment, dim=-1) @ F.normalize(sentence, dim=-1).T / options.tau
    likely = (like.log_softmax(1) * positive).sum(1) / positive.sum(1)
    return -(likely * targets.inside.any(1)).mean()


def mean(x: Tensor, mask: Tensor) -> Tensor:
    """Of the entries (n, L, d) that are there."""
    return (x.float() * mask[..., None]).sum(1) / mask.sum(1).clamp(min=1)[:, None]
