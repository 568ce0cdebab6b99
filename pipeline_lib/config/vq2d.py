"""Configuration of visual queries in 2D (VQ2D): clips, frames, detection of a crop, and the generated demo."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline_lib.config.base import Precision, Section
from pipeline_lib.config.vq2d_peaks import Peaks


class Clips(Section):
    """Videos → clips at the rate of the annotations."""

    downscale_height: int | None = Field(
        None,
        ge=16,
        le=8192,
        description="pixels; null keeps the video's, as EgoLoc does; newer official clips have 700",
    )
    crf: int = Field(22, ge=0, le=51, description="quality of H.264, lower is better")


class Images(Section):
    """Clips → a JPEG per frame."""

    naming: Literal["egoloc", "official"] = Field(
        "egoloc", description="egoloc: color_0000000.jpg is the first frame; official: frame_0000001.jpg is"
    )
    quality: int = Field(75, ge=1, le=100, description="of JPEG; 75 is Pillow's default, which EgoLoc writes")


class Detection(Section):
    """A crop and a clip → boxes and scores in every frame of the search window."""

    detector: Literal["similarity", "siam_rcnn"] = Field(
        "similarity",
        description="similarity: proposals of the object detector compared with the crop; siam_rcnn: needs detectron2",
    )
    checkpoint: str | None = Field(
        None, description="Siam-RCNN's model.pth; the similarity detector has weights.objects"
    )
    downscale_height: int = Field(700, ge=32, le=8192, description="pixels that frames are scaled to, up or down")
    recency_factor: float = Field(1.0, gt=0, le=1, description="share of the search window, from its end, to look at")
    subsampling_factor: float = Field(1.0, gt=0, le=1, description="share of these frames to look at, evenly spaced")
    reference_pad: int = Field(16, ge=0, description="pixels of context around the crop")
    reference_size: int = Field(256, ge=32, description="pixels of the square that the crop is scaled to")
    proposals: int = Field(300, ge=1, description="regions per frame that are compared with the crop (similarity)")
    boxes: int = Field(10, ge=1, description="kept per frame")
    score_thresh: float = Field(0.0, ge=0, le=1, description="boxes with a lower score are dropped")
    nms: float = Field(0.5, gt=0, le=1, description="overlap above which the box with the lower score is dropped")
    batch: int = Field(8, ge=1, description="frames per forward pass on a GPU")
    precision: Precision = Field("fp32", description="of the similarity detector's convolutions")


class Demo(Section):
    """Generated egocentric videos with queries."""

    val: int = Field(2, ge=1, description="videos with gold tracks")
    test: int = Field(1, ge=1, description="videos without")
    seconds: float = Field(32.0, ge=20, le=480, description="of a clip; a video holds two")
    width: int = Field(320, ge=128, multiple_of=2, description="pixels")
    height: int = Field(240, ge=96, multiple_of=2, description="pixels")
    fps: int = Field(10, ge=5, multiple_of=5, description="of the video; clips have 5")


class VQ2D(Section):
    """Targets results/vq2d_peaks_val.json, results/vq2d_peaks_test.json and results/vq2d_eval.json."""

    source: Literal["demo", "ego4d"] = Field("demo", description="demo: generated videos; ego4d: the files named below")
    annotations_val: str | None = Field(None, description="vq_val.json of Ego4D")
    annotations_test: str | None = Field(None, description="vq_test_unannotated.json of Ego4D")
    videos: str | None = Field(None, description="folder of VIDEO_UID.mp4, Ego4D's full_scale")
    shards: int = Field(2, ge=1, le=10_000, description="parts that clips are split into, a job each")
    plots: int = Field(50, ge=0, description="pictures of queries per split, at most; 0 for none")
    frames: bool = Field(False, description="also write the JPEGs of all clips")
    clips: Clips = Clips()
    images: Images = Images()
    detection: Detection = Detection()
    peaks: Peaks = Peaks()
    demo: Demo = Demo()

    @model_validator(mode="after")
    def _possible(self) -> "VQ2D":
        if self.source == "ego4d" and not (self.annotations_val and self.videos):
            raise ValueError("vq2d.source = 'ego4d' needs vq2d.annotations_val and vq2d.videos; set both")
        if (self.detection.detector == "siam_rcnn") != bool(self.detection.checkpoint):
            raise ValueError(
                "vq2d.detection.checkpoint is Siam-RCNN's model.pth: give it with detector siam_rcnn, and only then"
            )
        return self
