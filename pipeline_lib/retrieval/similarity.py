"""A trained HGR and a split → similarities of all its videos and captions."""

import numpy as np
import torch

from pipeline_lib.retrieval.data import Part
from pipeline_lib.retrieval.model import HGR


@torch.inference_mode()
def similarities(net: HGR, part: Part, where: torch.device, size: int = 300) -> np.ndarray:
    """Fused similarities (videos with features, captions), float32; `size` of each are scored at once."""
    starts = range(0, len(part.encoded), size)
    captions = [net.texts(part.encoded.take(slice(start, start + size)).to(where)) for start in starts]
    found = np.empty((len(part.videos), len(part.encoded)), np.float32)
    row = 0
    for clips in part.blocks(size):
        videos = net.videos(clips.frames.to(where), clips.lengths.to(where))
        last = row + len(clips.lengths)
        for start, texts in zip(starts, captions, strict=True):
            found[row:last, start : start + size] = net.scores(videos, texts).fused.cpu().numpy()
        row = last
    return found
