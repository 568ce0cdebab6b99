"""Configuration of MESM's network and loss; the defaults are those published for Charades-STA, CLIP + SlowFast."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline_lib.config.base import Section


class Model(Section):
    """MESM (specs: mesm §6)."""

    dimension: int = Field(256, ge=4, multiple_of=4, description="of rows and words inside the network")
    heads: int = Field(8, ge=1, description="of attention; divides dimension")
    feedforward: int = Field(1024, ge=1, description="width of the hidden layer after each attention")
    dropout: float = Field(0.1, ge=0, lt=1, description="inside attention and feed-forward layers")
    input_dropout: float = Field(0.5, ge=0, lt=1, description="of what the input projections read")
    input_layers: int = Field(2, ge=1, le=3, description="layers of each input projection")
    recfw: bool = Field(
        True, description="frame-word level: words enhance the video, and masked ones are reconstructed from it"
    )
    recfw_layers: int = Field(2, ge=1, description="layers of the frame-word encoder")
    share_mlp: bool = Field(
        True, description="the frame-word encoder has one feed-forward for both uses; false: one each (TACoS)"
    )
    recss: bool = Field(
        True, description="segment-sentence level: a sentence reconstructed from the video is one more word"
    )
    recss_layers: int = Field(4, ge=1, description="layers of the sentence's reconstruction")
    context: Literal["video", "film"] = Field(
        "video",
        description="what a sentence is reconstructed from. video: its video | film: the videos of all queries of its "
        "group, one after the other (QVHighlights)",
    )
    aligner_layers: int = Field(2, ge=1, description="layers that align the enhanced video with the words")
    encoder_layers: int = Field(2, ge=1, description="layers of the transformer's encoder")
    decoder_layers: int = Field(2, ge=1, description="layers of its decoder, each of which refines the spans")
    queries: int = Field(10, ge=1, description="spans predicted for each sentence")
    text_positions: bool = Field(False, description="learned positions of words; off as published")
    max_words: int = Field(
        16, ge=1, description="of a sentence: sizes the table of learned positions, which checkpoints always hold"
    )
    head_masks: Literal["mended", "as_published"] = Field(
        "mended",
        description="as_published: words are hidden from heads by the padding of other sentences of the batch, as in "
        "upstream's code | mended: by their own alone",
    )
    pretrained: str | None = Field(None, description="checkpoint to start from, upstream's .ckpt or ours")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} can't be divided among {self.heads} heads")
        return self


class Loss(Section):
    """What training minimises (specs: mesm §6): a weighted sum, and the matching of spans and moments beneath it."""

    span_coef: float = Field(10.0, ge=0, description="weight of the L1 distance of centre and width")
    giou_coef: float = Field(1.0, ge=0, description="weight of 1 - generalised IoU")
    label_coef: float = Field(4.0, ge=0, description="weight of foreground or background; 6 for TACoS")
    saliency_coef: float = Field(4.0, ge=0, description="weight of the rows' saliency; 1 for TACoS and QVHighlights")
    recfw_coef: float = Field(0.1, ge=0, description="weight of reconstructed words; 0.5 for QVHighlights")
    recss_coef: float = Field(0.1, ge=0, description="weight of reconstructed sentences")
    cost_span: float = Field(10.0, ge=0, description="matching cost of the L1 distance")
    cost_giou: float = Field(1.0, ge=0, description="matching cost of the generalised IoU")
    cost_class: float = Field(4.0, ge=0, description="matching cost of the foreground's probability; 6 for TACoS")
    auxiliary: bool = Field(True, description="earlier layers of the decoder are matched and count, too")
    eos_coef: float = Field(0.1, ge=0, description="weight of background beside foreground's 1")
    smoothing: float = Field(0.1, ge=0, lt=1, description="of the labels of reconstructed words")
    rank_coef: float = Field(12.0, gt=0, description="divides the sum of rank-contrastive terms; 1 for TACoS")
    triplet: bool = Field(
        False, description="drawn rows must be more salient than others by `margin`; on for TACoS and QVHighlights"
    )
    margin: float = Field(0.2, ge=0, description="of the triplets")
    gamma: float = Field(
        0.9, ge=-1, le=1, description="generalised IoU from which moments of a group share their sentences"
    )
    tau: float = Field(0.5, gt=0, description="temperature of the contrast between moments and sentences")
