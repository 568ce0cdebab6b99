"""A split, its videos and its sentences → batches of queries, for training with targets (batch.py)."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments import WHOLE, Moments
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.moments import order, queries, targets
from pipeline_lib.moments.batch import Batch, Targets
from pipeline_lib.moments.order import Group
from pipeline_lib.moments.sentences import Sentences
from pipeline_lib.moments.targets import Target
from pipeline_lib.moments.videos import Videos, first

log = logging.getLogger(__name__)
_MOST_PAST = 0.05  # share of the moments that may start past the features before clip_len is doubted


class Part:
    """One split, opened.

    Attributes:
        moments: all its queries.
        groups: numbers of those whose video can be used, in the groups that are read together.
        left_out: numbers of the others.
    """

    def __init__(
        self, moments: Sequence[Moment], options: Moments, videos: Videos, sentences: Sentences, name: str
    ) -> None:
        self.moments, self.options, self.videos, self.sentences, self.name = moments, options, videos, sentences, name
        usable = videos.usable((one.video_id for one in moments), name)
        self.left_out = [number for number, one in enumerate(moments) if one.video_id not in usable]
        gone = set(self.left_out)
        found = ([number for number in group if number not in gone] for group in queries.groups(moments, options))
        self.groups: list[Group] = [group for group in found if group]
        self._check_ends([one for one in moments if one.video_id in usable])

    def _check_ends(self, moments: Sequence[Moment]) -> None:
        """Name moments that start more than a clip past the features; many of them mean another clip_len."""
        length = self.options.data.clip_len
        if length == WHOLE:
            return
        past = []
        for one in moments:
            seconds = self.videos.clips(one.video_id) * length
            if one.windows and one.windows[0][0] > seconds + length:
                start, end = one.windows[0]
                past.append(
                    f"qid {one.query_id} of {one.video_id} ([{start:g}, {end:g}], features end at {seconds:g} s)"
                )
        if len(past) > _MOST_PAST * len(moments):
            raise UserError(
                one_line(
                    f"{self.name}: {len(past)} of {len(moments)} moments lie past the end of the features, first {past[0]}; "
                    f"do the rows of the features really take moments.data.clip_len = {length:g} seconds each?",
                    600,
                )
            )
        if past:
            log.warning("%s: %d moments lie past the end of the features: %s", self.name, len(past), first(past))

    @property
    def dim(self) -> int:
        """Columns of a video's rows."""
        return self.videos.dim(self.moments[self.groups[0][0]].video_id)

    def training(self, epoch: int) -> list[list[Group]]:
        """The batches of an epoch."""
        wanted = self.options.training
        return order.epoch(self.groups, wanted.batch_videos, self.options.data.max_gather, wanted.seed, epoch)

    def evaluation(self) -> list[list[Group]]:
        """Batches that have every usable query once."""
        return order.fixed(self.groups, self.options.prediction.batch_videos, self.options.data.max_gather)

    def batch(self, groups: Sequence[Group], rng: np.random.Generator | None = None) -> Batch:
        """The queries of some groups; with targets if `rng`, which all that is random comes from, is given."""
        chosen = [self.moments[number] for group in groups for number in group]
        place: dict[str, int] = {}
        for one in chosen:
            place.setdefault(one.video_id, len(place))
        rows = [self.videos[name].rows for name in place]
        if len({one.shape[1] for one in rows}) > 1:
            raise UserError(
                f"{self.name}: videos have features of {sorted({one.shape[1] for one in rows})} columns; give one kind"
            )
        said = [self.sentences.by_text[one.sentence] for one in chosen]
        video, video_mask = padded(rows)
        words, words_mask = padded([one.words for one in said])
        return Batch(
            video,
            video_mask,
            torch.tensor([place[one.video_id] for one in chosen]),
            torch.tensor([len(group) for group in groups]),
            words,
            words_mask,
            torch.from_numpy(np.stack([one.mean for one in said])),
            None if rng is None else self._targets(chosen, [len(group) for group in groups], rng),
        )

    def _targets(self, chosen: Sequence[Moment], sizes: list[int], rng: np.random.Generator) -> Targets:
        found = [self._target(one, rng) for one in chosen]
        said = [self.sentences.by_text[one.sentence] for one in chosen]
        moments, moments_mask = padded([one.moments for one in found])
        return Targets(
            moments,
            moments_mask,
            padded([one.inside for one in found]).content,
            padded([one.saliency for one in found]).content,
            torch.from_numpy(np.stack([one.positive for one in found])),
            torch.from_numpy(np.stack([one.negative for one in found])),
            padded([one.labels for one in said]).content,
            padded([one.unknown for one in said]).content,
            padded([targets.masked(one.weights, rng) for one in said]).content,
            torch.from_numpy(targets.others(sizes, rng)),
        )

    def _target(self, one: Moment, rng: np.random.Generator) -> Target:
        scored = self.options.dataset == Dataset.QVHIGHLIGHTS and one.clips
        make = targets.of_scores if scored else targets.of_windows
        return make(one, self.videos[one.video_id], self.options.data, rng)


class Padded(NamedTuple):
    """Arrays behind each other: (n, L, …), zeros beyond each one's end, and (n, L) what is not beyond."""

    content: Tensor
    mask: Tensor


def padded(parts: Sequence[np.ndarray]) -> Padded:
    """Arrays (L, …) of any length as one."""
    longest = max(len(part) for part in parts)
    content = np.zeros((len(parts), longest, *parts[0].shape[1:]), parts[0].dtype)
    mask = np.zeros((len(parts), longest), bool)
    for number, part in enumerate(parts):
        content[number, : len(part)] = part
        mask[number, : len(part)] = True
    return Padded(torch.from_numpy(content), torch.from_numpy(mask))


def moved(batch: Batch, where: torch.device) -> Batch:
    """The batch on a device."""
    held = batch.targets and Targets(*(part.to(where, non_blocking=True) for part in batch.targets))
    parts = {name: part.to(where, non_blocking=True) for name, part in batch._asdict().items() if name != "targets"}
    return Batch(**parts, targets=held)
