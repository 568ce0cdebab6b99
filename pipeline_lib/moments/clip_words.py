"""Sentences → CLIP's tokens and, for each, the last layer of its text network: (L, 512), before it is pooled.

Tokens see only those before them, so a sentence needs no padding to CLIP's 77 positions. Computed in float32, where upstream
computes in half precision.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.config.moments import MomentsData
from pipeline_lib.core import checkpoint
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.features.nets import clip
from pipeline_lib.moments import tagging
from pipeline_lib.moments.vocabulary import Cut, Vocabulary
from pipeline_lib.text import tokens
from pipeline_lib.text.bpe import END, START

_BATCH = 256  # sentences at once


class ClipWords:
    """CLIP's tokenizer and text network."""

    mean_of_unit = False

    def __init__(self, options: MomentsData, known: Vocabulary, weights: Path, where: torch.device) -> None:
        self.options, self.vocabulary, self.where = options, known, where
        self._encode = tokens.clip_encoder()
        self._tag = tagging.of(options.tagger)
        self._net = text_network(options.clip_model, weights).to(where)
        places = self._net.positional_embedding
        longest, self.dim = map(int, places.shape)
        if options.max_words > longest:
            raise UserError(f"moments.data.max_words = {options.max_words}: CLIP has {longest} positions; give no more")

    def cut(self, sentence: str) -> Cut:
        """BPE ids without start and end. Their text, piece by piece, is what is tagged."""
        ids = self._encode(sentence)
        weights = self._tag([self._encode.symbol(one) for one in ids])
        most = self.options.max_words - 2
        return Cut([*ids[:most]], weights[:most])

    @torch.inference_mode()
    def vectors(self, cuts: Sequence[Cut]) -> list[np.ndarray]:
        """(L + 2, dim) of each sentence."""
        found: list[np.ndarray] = []
        for start in range(0, len(cuts), _BATCH):
            block = [[START, *cut.tokens, END] for cut in cuts[start : start + _BATCH]]
            longest = max(map(len, block))
            padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in block], device=self.where)
            states = last_hidden(self._net, padded).float().cpu().numpy()
            found += [rows[: len(ids)].copy() for rows, ids in zip(states, block, strict=True)]
        return found


def text_network(model: str, weights: Path) -> Any:
    """open_clip's network with the text half of a checkpoint: clip_text_encoder.pth of MESM, or one of the whole network."""
    net = clip.build(model)
    state = checkpoint.read(weights)
    wanted = {
        name for name in net.state_dict() if not name.startswith("visual.") and name not in ("logit_scale", "attn_mask")
    }
    if missing := sorted(wanted - state.keys()):
        raise UserError(
            one_line(f"{weights} is no text network of {model}: {len(missing)} entries are missing, first {missing[0]}")
        )
    try:
        net.load_state_dict({name: state[name].float() for name in wanted}, strict=False)
    except RuntimeError as error:
        raise UserError(
            one_line(f"{weights} is no text network of {model} ({error}); set clip_model to its model")
        ) from None
    return net.eval()


def last_hidden(net: Any, ids: Tensor) -> Tensor:
    """(n, L, dim): what upstream calls last_hidden_state, of tokens (n, L)."""
    length = ids.shape[1]
    states = net.token_embedding(ids) + net.positional_embedding[:length]
    states = net.transformer(states, attn_mask=net.attn_mask[:length, :length])
    found: Tensor = net.ln_final(states)
    return found
