"""Configuration of the feature networks and of their weights."""

from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline_lib.config.base import Precision, Section


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
