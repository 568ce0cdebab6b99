"""config.yaml (a mapping) → validated sections: the only definition of the configuration, its defaults and its schema."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline_lib.core.errors import UserError, explain

Precision = Literal["fp32", "bf16", "fp16"]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values don't change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Paths(Section):
    work: str = Field("work", description="folder for everything that can be made again")
    results: str = Field("results", description="folder for metrics and pages")


class Demo(Section):
    """Size and look of the generated videos of source.kind = demo."""

    train: int = Field(72, ge=0, description="videos to learn from")
    val: int = Field(24, ge=0, description="videos the threshold and the epoch are chosen on")
    test: int = Field(24, ge=0, description="videos the result is measured on")
    min_seconds: float = Field(8.0, ge=4, le=600)
    max_seconds: float = Field(20.0, ge=4, le=600)
    width: int = Field(320, ge=64, le=1920, multiple_of=2)
    height: int = Field(192, ge=64, le=1080, multiple_of=2)
    fps: int = Field(24, ge=4, le=60)
    sound: bool = Field(False, description="add a soundtrack of tones")

    @model_validator(mode="after")
    def _range(self) -> "Demo":
        if self.max_seconds < self.min_seconds:
            raise ValueError(f"max_seconds ({self.max_seconds}) is below min_seconds ({self.min_seconds}); raise it")
        return self


class Local(Section):
    """A folder of videos with sidecar files, for source.kind = local."""

    folder: str = Field("videos", description="NAME.mp4 with NAME.info.json, NAME.en.vtt … beside it (yt-dlp's names)")


class SourceOptions(Section):
    kind: Literal["demo", "local"] = Field("demo", description="where videos come from")
    queries: list[str] = Field(["*"], min_length=1, description="what to search for; * is everything the source has")
    limit: int = Field(1_000_000, ge=1, description="hits kept per query")
    annotations: str | None = Field(None, description="gold file; null asks the source (annotations.json of a folder)")
    languages: list[str] = Field(["en"], min_length=1, description="caption languages, best first")
    id_pattern: str = Field(r"[A-Za-z0-9_-]+", description="regular expression that a whole video id must match")
    demo: Demo = Demo()
    local: Local = Local()


class DueDiligence(Section):
    """Limits beyond which a video is not used."""

    min_seconds: float = Field(1.0, ge=0)
    max_seconds: float = Field(4 * 3600.0, gt=0)
    max_pixels: int = Field(4096 * 2304, gt=0, description="width × height")
    max_bytes: int = Field(8 * 1024**3, gt=0)
    duration_tolerance: float = Field(0.1, ge=0, le=1, description="share of the declared duration that may be missing")


class Limits(Section):
    """What the decoder may spend on one video; beyond it the video gets a reason, and the next one its turn."""

    pixels: int = Field(8192 * 4320, ge=1, description="width × height of a picture")
    seconds: float = Field(24 * 3600.0, gt=0, description="of video")
    wall: float = Field(120.0, gt=0, description="seconds of waiting for the decoder")
    wall_per_second: float = Field(2.0, ge=0, description="seconds of waiting added for every second of video")
    memory_mb: int = Field(4096, ge=64, description="of the decoding process")


class Video(Section):
    """How video files are decoded, in every stage that does so."""

    decoder: Literal["auto", "pyav", "decord", "torchcodec"] = Field(
        "auto", description="all give the same frames; auto is the fastest (docs/decoding.md)"
    )
    limits: Limits = Limits()


class Frames(Section):
    """Stored pictures of a video, which the object features are made from."""

    store: bool = Field(True, description="false: no files; object features decode the videos themselves")
    every: float = Field(3.0, gt=0, description="seconds between two frames")
    mode: Literal["exact", "keyframe"] = Field(
        "exact", description="keyframe: the nearest keyframe, many times faster; the true times are stored either way"
    )
    quality: int = Field(95, ge=1, le=100, description="JPEG quality")
    max_side: int = Field(1280, ge=32, description="longer frames are scaled down to this many pixels")


class Objects(Section):
    """Faster R-CNN R101-C4, 2048-d region features."""

    network: Literal["vg_port", "detectron2_c4", "detectron2"] = Field(
        "vg_port",
        description="vg_port: keys of faster_rcnn_res101_vg.pth | detectron2_c4: keys of detectron2's R101-C4 | "
        "detectron2: the same run by detectron2 itself, which must be installed",
    )
    boxes: int = Field(10, ge=1, le=300, description="regions kept per frame: the original project's 10, or 36 …")
    min_boxes: int | None = Field(
        None, ge=1, le=300, description="keep between this many and `boxes`, as confidence has it; null: always `boxes`"
    )
    short_side: int = Field(600, ge=64, description="pixels")
    max_side: int = Field(1000, ge=64, description="pixels")
    proposals: int = Field(300, ge=1, le=1000, description="regions after the proposal network's suppression")
    confidence: float = Field(0.2, ge=0, le=1)
    nms: float = Field(0.3, gt=0, le=1, description="overlap above which a box of the same class is dropped")
    batch: int = Field(8, ge=1, description="frames per forward pass on a GPU; halved when memory runs out")
    precision: Precision = Field("fp32", description="of the network's arithmetic")
    compile: bool = Field(False, description="torch.compile the network; needs a C++ compiler")

    @model_validator(mode="after")
    def _enough(self) -> "Objects":
        if self.proposals < self.boxes:
            raise ValueError(f"proposals ({self.proposals}) is below boxes ({self.boxes}); raise it")
        if (self.min_boxes or 0) > self.boxes:
            raise ValueError(f"min_boxes ({self.min_boxes}) is above boxes ({self.boxes}); lower it")
        return self


#: Samplings that published S3D features and numbers were made with; the keys that a configuration gives go before them.
S3D_PRESETS: dict[str, dict[str, float]] = {
    # Paper and TF-hub model: 32 frames at 10 fps, 200 px (MIL-NCE, arXiv:1912.06430 §4.1); its windows don't overlap.
    "milnce_10fps_32": {"fps": 10.0, "frames": 32, "stride": 32, "size": 200},
    # Defaults of MIL-NCE_HowTo100M (args.py): --fps 5 --num_frames 16 --video_size 224.
    "milnce_5fps_16": {"fps": 5.0, "frames": 16, "stride": 16, "size": 224},
    # One row per second from overlapping windows, as temporal models take them.
    "dense_16fps_32": {"fps": 16.0, "frames": 32, "stride": 16, "size": 224},
}


class S3D(Section):
    """S3D-G over windows of frames."""

    preset: Literal["milnce_10fps_32", "milnce_5fps_16", "dense_16fps_32"] = Field(
        "milnce_10fps_32", description="sampling: gives fps, frames, stride and size where they are not set"
    )
    fps: float = Field(10.0, gt=0, description="frames per second, chosen as ffmpeg's fps filter does")
    frames: int = Field(32, ge=2, multiple_of=2, description="frames per window")
    stride: int = Field(32, ge=1, description="frames from one window to the next")
    size: int = Field(200, ge=32, multiple_of=2, description="pixels of the square centre crop")
    output: Literal["mixed_5c", "video_embedding", "both"] = Field(
        "mixed_5c", description="1024-d | 512-d in the joint space with text | both side by side, 1536-d"
    )
    batch: int = Field(16, ge=1, description="windows per forward pass on a GPU; halved when memory runs out")
    precision: Precision = Field("fp32", description="of the network's arithmetic")
    compile: bool = Field(False, description="torch.compile the network; needs a C++ compiler")

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = S3D_PRESETS.get(values.get("preset", "milnce_10fps_32"), {})
        return {**preset, **{key: value for key, value in values.items() if value is not None}}


class ResNet152(Section):
    """ResNet-152 of single frames, 2048-d (contract of video_feature_extractor --type 2d)."""

    fps: float = Field(1.0, gt=0, description="frames per second, chosen as ffmpeg's fps filter does")
    size: int = Field(224, ge=32, description="pixels of the short side")
    l2_normalize: bool = Field(True, description="scale rows to unit length")
    batch: int = Field(64, ge=1, description="frames per forward pass on a GPU; halved when memory runs out")
    precision: Precision = Field("fp32", description="of the network's arithmetic")
    compile: bool = Field(False, description="torch.compile the network; needs a C++ compiler")


class ResNeXt101(Section):
    """3-D ResNeXt-101 of clips, 2048-d (contract of video_feature_extractor --type 3d)."""

    fps: float = Field(24.0, gt=0, description="frames per second, chosen as ffmpeg's fps filter does")
    frames: int = Field(16, ge=1, description="frames per clip, without overlap")
    size: int = Field(112, ge=32, description="pixels of the square centre crop")
    l2_normalize: bool = Field(True, description="scale rows to unit length")
    batch: int = Field(64, ge=1, description="clips per forward pass on a GPU; halved when memory runs out")
    precision: Precision = Field("fp32", description="of the network's arithmetic")
    compile: bool = Field(False, description="torch.compile the network; needs a C++ compiler")


class CLIP(Section):
    """open_clip's embeddings of frames and of captions."""

    every: float = Field(3.0, gt=0, description="seconds between two frames")
    model: str = Field("ViT-B-32-quickgelu", description="a model of open_clip; its weights must fit")
    preprocessing: str = Field("openai", description="published weights of the model whose mean, deviation … apply")
    batch: int = Field(64, ge=1, description="frames or sentences per forward pass on a GPU")
    precision: Precision = Field("fp32", description="of the network's arithmetic")
    compile: bool = Field(False, description="torch.compile the network; needs a C++ compiler")


class Features(Section):
    device: str = Field("auto", description="auto | cpu | cuda | cuda:1; auto takes the GPU that fewest jobs use")
    gpus: int = Field(0, ge=0, description="GPUs that a feature or training job asks the scheduler for")
    decoders: int = Field(1, ge=1, description="decoding processes per feature job; several keep a GPU busy")
    also: list[Literal["resnet152", "resnext101", "clip", "clip_text"]] = Field(
        [], description="features to make that no task here needs"
    )
    objects: Objects = Objects()
    s3d: S3D = S3D()
    resnet152: ResNet152 = ResNet152()
    resnext101: ResNeXt101 = ResNeXt101()
    clip: CLIP = CLIP()


class Weights(Section):
    """untrained | a name of the registry | the path of a checkpoint."""

    objects: str = "untrained"
    s3d: str = "untrained"
    resnet152: str = "untrained"
    resnext101: str = "untrained"
    clip: str = "untrained"
    words: str = Field(
        "captions", description="captions = vectors derived from the captions | path of .bin, .txt, .pkl"
    )


class Text(Section):
    dimension: int = Field(300, ge=8, description="of the word vectors derived from captions")
    context: int = Field(32, ge=3, description="CLIP tokens per sentence including start and end")


class CorefData(Section):
    """How videos become training pairs and evaluation items (specs: milo §1–3)."""

    max_words: int = Field(30, ge=1)
    look_window: int = Field(
        1, ge=0, description="caption segments before and after that text and objects are drawn from"
    )
    candidates: int = Field(5, ge=1, description="objects per training pair")
    candidates_eval: int = Field(5, ge=1, description="objects per evaluated clip")
    min_confidence: float = Field(0.6, ge=0, le=1, description="of objects drawn in training")
    n_pair: int = Field(36, ge=1, description="caption segments drawn per video")
    standardise: bool = Field(
        False, description="z-score features with statistics of the training videos; off as published"
    )
    fold_case: bool = Field(
        False, description="look up words that aren't known as written in lower case; off as published"
    )
    cache_videos: int = Field(512, ge=0, description="videos whose features are kept in memory")


class CorefModel(Section):
    dimension: int = Field(6144, ge=8, description="of the joint space")
    normalise: Literal["candidate_axis", "embedding"] = Field(
        "embedding", description="what object embeddings are normalised over; candidate_axis as published"
    )
    pretrained: str | None = Field(None, description="checkpoint whose matching entries are loaded")


class CorefTraining(Section):
    epochs: int = Field(20, ge=0)
    batch_videos: int = Field(1, ge=1, description="videos per step; negatives come from all of them")
    learning_rate: float = Field(1e-4, gt=0)
    decay: float = Field(1.0, gt=0, le=1, description="learning rate factor per epoch")
    margin: float = Field(0.1, ge=0)
    loss: Literal["mmr_text_video+nce_text_object", "nce_video_text+nce_text_object"] = Field(
        "mmr_text_video+nce_text_object", description="the two published combinations (specs: milo §4)"
    )
    temperature: float = Field(1.0, gt=0, description="logits are divided by it; 1 as published")
    negative_weighting: bool = Field(
        False, description="weight the margin loss by hard_negative_rate, with batch_videos > 1"
    )
    hard_negative_rate: float = Field(0.5, gt=0, lt=1, description="share of same-video pairs in the negatives' weight")
    seed: int = Field(1, ge=0)


class CorefEvaluation(Section):
    """Scoring of (clip, sentence) pairs (specs: milo §5–6)."""

    weight_global: float = Field(0.3, ge=0, le=1, description="a: combined = a·global + (1-a)·regional")
    temperature: float = Field(1.0, gt=0, description="of the softmax over sentences; 1 as published")
    thresholds: list[float] = Field(
        [round(0.01 * i, 2) for i in range(1, 100)],
        min_length=1,
        description="tried on val, compared strictly",
    )
    min_iou: float = Field(0.5, gt=0, le=1, description="temporal IoU from which a proposal stands for a gold event")
    bootstrap: int = Field(1000, ge=1, description="resamples of videos behind the 95 % intervals")


class Coref(Section):
    data: CorefData = CorefData()
    model: CorefModel = CorefModel()
    training: CorefTraining = CorefTraining()
    evaluation: CorefEvaluation = CorefEvaluation()


class Config(Section):
    """The whole configuration."""

    paths: Paths = Paths()
    seed: int = Field(0, ge=0, description="of generated videos and untrained weights")
    shards: int = Field(4, ge=1, le=100_000, description="units of scheduling; fix it before a large run")
    max_failed_fraction: float = Field(0.5, ge=0, le=1, description="transient failures in a shard that stop a stage")
    source: SourceOptions = SourceOptions()
    due_diligence: DueDiligence = DueDiligence()
    video: Video = Video()
    frames: Frames = Frames()
    features: Features = Features()
    weights: Weights = Weights()
    text: Text = Text()
    coref: Coref = Coref()

    @model_validator(mode="after")
    def _possible(self) -> "Config":
        if self.paths.work == self.paths.results:
            raise ValueError(f"paths.work and paths.results are both {self.paths.work!r}; give them different folders")
        if self.coref.data.candidates > self.features.objects.boxes:
            raise ValueError(
                f"coref.data.candidates ({self.coref.data.candidates}) exceeds features.objects.boxes "
                f"({self.features.objects.boxes}); lower the first or raise the second"
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
        ("source.annotations", config.source.annotations),
        ("source.local.folder", config.source.local.folder if config.source.kind == "local" else None),
    ]
    return [(key, path) for key, path in named if path]


def _is_path(weights: str) -> bool:
    return "/" in weights or "." in weights


def schema() -> str:
    """The JSON schema of config.yaml, as committed in workflow/schemas/config.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def as_dict(config: BaseModel) -> dict[str, Any]:
    """Plain values, defaults included."""
    return config.model_dump(mode="json")


if __name__ == "__main__":
    print(schema(), end="")
