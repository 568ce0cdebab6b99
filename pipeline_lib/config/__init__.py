"""config.yaml (a mapping) → validated sections: the only definition of the configuration, its defaults and its schema."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from pipeline_lib.config.base import Section, as_dict
from pipeline_lib.config.clean import DueDiligence, Duplicates
from pipeline_lib.config.collect import Local, SourceOptions
from pipeline_lib.config.coref import Coref
from pipeline_lib.config.features import Features, Weights
from pipeline_lib.config.moments import Moments
from pipeline_lib.config.retrieval import Retrieval
from pipeline_lib.config.text import Text
from pipeline_lib.config.video import Frames, Video
from pipeline_lib.config.vq2d import VQ2D
from pipeline_lib.core.errors import UserError, explain


class Paths(Section):
    work: str = Field("work", description="folder for everything that can be made again")
    results: str = Field("results", description="folder for metrics and pages")

    @field_validator("work", "results")
    @classmethod
    def _plain(cls, path: str) -> str:
        if odd := re.search(r"[^\w./@%+=:,~-]", path):
            raise ValueError(
                f"{path!r} holds {odd[0]!r}, which shell commands can't take as it is; give a plainer name or a link"
            )
        return path


class Config(Section):
    """The whole configuration."""

    paths: Paths = Paths()
    seed: int = Field(0, ge=0, description="of generated videos and untrained weights")
    shards: int = Field(4, ge=1, le=100_000, description="units of scheduling; fix it before a large run")
    max_failed_fraction: float = Field(0.5, ge=0, le=1, description="transient failures in a shard that stop a stage")
    source: SourceOptions = SourceOptions()
    due_diligence: DueDiligence = DueDiligence()
    duplicates: Duplicates = Duplicates()
    video: Video = Video()
    frames: Frames = Frames()
    features: Features = Features()
    weights: Weights = Weights()
    text: Text = Text()
    coref: Coref = Coref()
    retrieval: Retrieval = Retrieval()
    moments: Moments = Moments()
    vq2d: VQ2D = VQ2D()

    @model_validator(mode="after")
    def _possible(self) -> "Config":
        if self.paths.work == self.paths.results:
            raise ValueError(f"paths.work and paths.results are both {self.paths.work!r}; give them different folders")
        for key, candidates in (
            ("coref.data.candidates", self.coref.data.candidates),
            ("the largest of coref.ablation.candidates", max(self.coref.ablation.candidates, default=1)),
        ):
            if candidates > self.features.objects.boxes:
                raise ValueError(
                    f"{key} ({candidates}) exceeds features.objects.boxes ({self.features.objects.boxes}); "
                    "lower the first or raise the second"
                )
        wanted = self.coref.evaluation
        if "mil_nce" in wanted.baselines and self.weights.s3d != "untrained" and not wanted.mil_nce_dictionary:
            raise ValueError(
                f"coref.evaluation.baselines has mil_nce, whose weights ({self.weights.s3d}) belong to a list of words; set "
                "coref.evaluation.mil_nce_dictionary to s3d_dict.npy, or take mil_nce out"
            )
        return self


def load(values: dict[str, Any], *, base: Path | None = None) -> Config:
    """Validate a mapping; every mistake is named with its key, value and fix in one UserError.

    Args:
        base: folder that relative paths start from; given, files named by the configuration must exist.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error)) from None
    if base is not None:
        for key, path in _files(config):
            if not (base / path).exists():
                raise UserError(f"{key} = {path!r}: no such file or folder; correct the path in the configuration")
    return config


def _files(config: Config) -> list[tuple[str, str]]:
    """(key, path) of everything a configuration expects to find on disk."""
    weights = config.weights
    named = [
        *((f"weights.{net}", path) for net, path in as_dict(weights).items() if net != "words" and _is_path(path)),
        ("weights.words", None if weights.words == "captions" else weights.words),
        ("coref.model.pretrained", config.coref.model.pretrained),
        ("coref.evaluation.mil_nce_dictionary", config.coref.evaluation.mil_nce_dictionary),
        ("source.annotations", config.source.annotations),
        ("source.query_file", config.source.query_file),
        *(_local(config.source.local) if config.source.kind == "local" else ()),
        *_retrieval(config.retrieval),
        *_moments(config.moments),
        *(_vq2d(config.vq2d) if config.vq2d.source == "ego4d" else ()),
    ]
    return [(key, path) for key, path in named if path]


def _local(local: Local) -> list[tuple[str, str | None]]:
    """The folder or the list of the local source."""
    return [("source.local.csv", local.csv)] if local.csv else [("source.local.folder", local.folder)]


def _retrieval(retrieval: Retrieval) -> list[tuple[str, str | None]]:
    """Files of a published dataset, and what else is named."""
    named = [(f"retrieval.{key}", getattr(retrieval, key)) for key in ("lexicon", "role_graphs", "vocabulary", "words")]
    named.append(("retrieval.model.pretrained", retrieval.model.pretrained))
    for name in ("train", "val", "test") if retrieval.dataset != "captions" else ():
        split = getattr(retrieval, name)
        named += [
            (f"retrieval.{name}.{key}", getattr(split, key))
            for key in ("annotations", "sentences", "videos", "relevance")
        ]
        named += [(f"retrieval.{name}.features", path) for path in split.features]
    return named


def _moments(moments: Moments) -> list[tuple[str, str | None]]:
    """Files of a published dataset, and what else is named."""
    return [
        ("moments.annotations", moments.annotations),
        *(("moments.features", path) for path in moments.features),
        *((f"moments.data.{key}", getattr(moments.data, key)) for key in ("vocabulary", "words")),
        ("moments.model.pretrained", moments.model.pretrained),
    ]


def _vq2d(vq2d: VQ2D) -> list[tuple[str, str | None]]:
    """Ego4D's files, and a checkpoint."""
    keys = ("annotations_val", "annotations_test", "videos")
    return [
        *((f"vq2d.{key}", getattr(vq2d, key)) for key in keys),
        ("vq2d.detection.checkpoint", vq2d.detection.checkpoint),
    ]


def _is_path(weights: str) -> bool:
    return "/" in weights or "." in weights


def schema() -> str:
    """The JSON schema of config.yaml, as committed in workflow/schemas/config.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"
