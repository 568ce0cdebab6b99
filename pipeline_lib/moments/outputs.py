"""What the network says of a batch: spans with scores, saliency, and what only the loss looks at.

n: queries, Q: spans of a query, L: rows, W: words, d: dimension.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline_lib.moments import spans


class Reconstruction(NamedTuple):
    """What only the loss looks at; None: that part is off."""

    other_saliency: Tensor  # (n, L): of the video with another video's sentence
    rows: Tensor  # (n, L, d): projected rows
    words: Tensor  # (n, W or 1 + W, d): projected words, the reconstructed sentence in front
    words_mask: Tensor
    logits: Tensor | None  # (n, W, classes): of the words, masked ones among them


class Outputs(NamedTuple):
    """What the network says; of decoder layers the last counts, the others are for the loss."""

    logits: Tensor  # (layers, n, Q, 2): foreground, background
    spans: Tensor  # (layers, n, Q, 2): centre and width, fractions of the video
    saliency: Tensor  # (n, L); nothing beyond a video's rows
    reconstruction: Reconstruction | None = None  # if the batch has targets

    def windows(self) -> Tensor:
        """(n, Q, 3): start and end, fractions of the video and not clipped to it, and score; in no order."""
        return torch.cat((spans.ends(self.spans[-1]), self.logits[-1].softmax(-1)[..., :1]), -1)
