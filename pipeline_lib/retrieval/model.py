"""Frames and captions with role graphs → similarities: the HGR network (Chen et al., CVPR 2020; specs: ranp §3).

Upstream keeps a dictionary of two state dicts, `video_encoder` and `text_encoder`; ours has the same entries behind these
names and a dot, so its checkpoints load strictly.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline_lib.config.retrieval import RetrievalModel
from pipeline_lib.core import checkpoint
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval.encoders import TextEncoder, Texts, VideoEncoder, Videos, Words
from pipeline_lib.retrieval.scores import Scores, score

ENCODERS = ("video_encoder", "text_encoder")


class HGR(nn.Module):
    """Hierarchical graph reasoning.

    Args:
        features: length of a frame's features.
        words: size of the vocabulary.
    """

    def __init__(self, features: int, words: int, options: RetrievalModel) -> None:
        super().__init__()
        self.options = options
        self.video_encoder = VideoEncoder(features, options.dimension, options.dropout_video)
        self.text_encoder = TextEncoder(words, options)

    def videos(self, frames: Tensor, lengths: Tensor) -> Videos:
        """Frames (V, F, features), of which the first `lengths` (V,) count."""
        return self.video_encoder(frames, lengths)

    def texts(self, words: Words) -> Texts:
        """Embed captions."""
        return self.text_encoder(words)

    def scores(self, videos: Videos, texts: Texts) -> Scores:
        """Similarities of every video and caption, (V, C) per level."""
        return score(videos, texts, self.options.sharpness, self.options.fusion)

    def forward(self, frames: Tensor, lengths: Tensor, words: Words) -> Scores:
        return self.scores(self.videos(frames, lengths), self.texts(words))


def initial(features: int, words: int, options: RetrievalModel, seed: int) -> HGR:
    """The network before training: a function of the sizes, options, seed and the pretrained file, if one is named."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = HGR(features, words, options)
    return net if options.pretrained is None else load(net, Path(options.pretrained))


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint: upstream's {encoder: {name: tensor}} (.th), or a plain one.

    Raises:
        UserError: no such file, or one that holds more than tensors.
    """
    if path.suffix == ".safetensors" or not path.is_file():
        return {name: value for name, value in checkpoint.read(path).items() if name.startswith(ENCODERS)}
    content = checkpoint.torch_file(path)
    if isinstance(content, dict) and set(content) & set(ENCODERS):
        parts = {name: part for name, part in content.items() if name in ENCODERS and isinstance(part, dict)}
        return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
    return checkpoint.read(path)


def load(net: HGR, path: Path) -> HGR:
    """Load a checkpoint whole. One without a video encoder, as upstream's GloVe checkpoints, gives what it has.

    Raises:
        UserError: an entry is missing, left over or of another shape.
    """
    state = read(path)
    if not any(name.startswith(ENCODERS) for name in state):
        raise UserError(f"{path} has no {' or '.join(ENCODERS)}; give a checkpoint of HGR or RANP")
    try:
        wrong = net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(f"{path} doesn't fit HGR: {one_line(error)}") from None
    vectors_only = set(state) == {"text_encoder.embedding.we.weight"}
    if wrong.unexpected_keys or (wrong.missing_keys and not vectors_only):
        said = [
            f"{what} {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
            for what, names in (("lacks", wrong.missing_keys), ("holds", wrong.unexpected_keys))
            if names
        ]
        raise UserError(f"{path} doesn't fit HGR: it {' and '.join(said)}; compare retrieval.model with its options")
    return net
