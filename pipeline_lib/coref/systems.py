"""Configuration and files → the systems that are evaluated side by side: MILO and its baselines."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from pipeline_lib.config import Config
from pipeline_lib.config.coref import Coref
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import baselines, scoring
from pipeline_lib.coref.baselines import JointSpace
from pipeline_lib.coref.checkpoint import Checkpoint, dimensions
from pipeline_lib.coref.evaluation_items import Item
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.coref.model import initial_network
from pipeline_lib.coref.names import ALL_POSITIVE, CLIP, HOWTO100M, MIL_NCE, MILO, RANDOM, SYSTEMS, UNTRAINED
from pipeline_lib.coref.scoring import Scores


@dataclass(frozen=True)
class BaselineFiles:
    """Files that only some baselines need; None where not given."""

    clip: Path | None = None
    clip_weights: Path | None = None
    s3d: Path | None = None
    s3d_weights: Path | None = None


def joint_spaces(inputs: Inputs, given: BaselineFiles, config: Config, where: torch.device) -> dict[str, JointSpace]:
    """CLIP and MIL-NCE, as far as they are wanted.

    Raises:
        UserError: a file of theirs is not given or not there, before anything long is begun.
    """
    wanted = config.coref.evaluation
    for baseline, needs in ((CLIP, ("clip", "clip_weights")), (MIL_NCE, ("s3d", "s3d_weights"))):
        if baseline in wanted.baselines:
            _require(given, baseline, needs)
    found: dict[str, JointSpace] = {}
    if CLIP in wanted.baselines:
        assert given.clip and given.clip_weights
        found[CLIP] = baselines.clip(
            given.clip, given.clip_weights, config.features.clip, wanted.clip_temperature, where
        )
    if MIL_NCE in wanted.baselines:
        assert given.s3d and given.s3d_weights
        words = Path(wanted.mil_nce_dictionary) if wanted.mil_nce_dictionary else None
        articles = [entry["article_sentences"] for entry in inputs.annotations.values()]
        found[MIL_NCE] = baselines.mil_nce(
            given.s3d, given.s3d_weights, words or baselines.vocabulary(articles), wanted.mil_nce_temperature, where
        )
    return found


def _require(given: BaselineFiles, baseline: str, needs: tuple[str, ...]) -> None:
    for field in fields(given):
        path: Path | None = getattr(given, field.name)
        if field.name in needs and (path is None or not path.is_file()):
            what = "not given" if path is None else f"{path}, which is not there"
            raise UserError(
                f"the baseline {baseline} needs --{field.name.replace('_', '-')}, {what}; make it with snakemake, "
                f"or take {baseline} out of coref.evaluation.baselines"
            )


@dataclass(frozen=True)
class Systems:
    """All systems, ready to score."""

    inputs: Inputs
    checkpoint: Checkpoint
    options: Coref
    where: torch.device
    spaces: Mapping[str, JointSpace]

    def why_not(self, video_id: str) -> str | None:
        """Why some system can't score a video, or None. All are measured on the same videos, so it is left out."""
        return next(filter(None, (space.why_not(video_id) for space in self.spaces.values())), None)

    def score(self, items: list[Item]) -> dict[str, list[Scores]]:
        """Scores of every system, in the order of SYSTEMS."""
        wanted, options = self.options.evaluation, self.options
        sizes = dimensions(self.inputs, items[0].video_id)
        found = {MILO: scoring.score(self.checkpoint.network(options, sizes).to(self.where), items, wanted, self.where)}
        if UNTRAINED in wanted.baselines:
            before, _ = initial_network(options.model, sizes, options.training.seed)
            name = HOWTO100M if options.model.pretrained else UNTRAINED
            found[name] = scoring.score(before.to(self.where), items, wanted, self.where)
        for name, space in self.spaces.items():
            found[name] = space.score(items, wanted)
        if RANDOM in wanted.baselines:
            found[RANDOM] = baselines.random(items, wanted.softmax, options.training.seed)
        if ALL_POSITIVE in wanted.baselines:
            found[ALL_POSITIVE] = baselines.all_positive(items)
        return {name: found[name] for name in SYSTEMS if name in found}
