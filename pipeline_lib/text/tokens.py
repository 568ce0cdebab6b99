"""Sentence → tokens: words as GloVe's vocabulary has them, or the ids of CLIP's byte-pair encoding (specs: mesm §2)."""

import functools
import importlib.util
import string
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.files import sha256

if TYPE_CHECKING:
    from pipeline_lib.text.bpe import Encoder

BPE = "bpe_simple_vocab_16e6.txt.gz"
BPE_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
_PUNCTUATION_TO_SPACE = str.maketrans(dict.fromkeys(string.punctuation, " "))


def glove(sentence: str) -> list[str]:
    """Lower-case words; every ASCII punctuation character counts as white space."""
    return sentence.lower().translate(_PUNCTUATION_TO_SPACE).split()


def clip(sentence: str) -> list[int]:
    """BPE ids without start and end token, of any length.

    The text is cleaned as CLIP does: ftfy, HTML entities resolved twice, white space collapsed, lower case.
    """
    return clip_encoder()(sentence)


@functools.cache
def clip_encoder() -> "Encoder":
    """CLIP's tokenizer, with its vocabulary (49 408 entries) checked."""
    from pipeline_lib.text.bpe import Encoder  # here, because ftfy and regex take a while

    spec = importlib.util.find_spec("open_clip")  # the package isn't imported: that would import torch
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the CLIP tokenizer needs the package open_clip_torch; install requirements/base.txt")
    path = Path(spec.submodule_search_locations[0]) / BPE
    if not path.is_file() or sha256(path) != BPE_SHA256:
        raise UserError(f"{path} is not CLIP's vocabulary; install open_clip_torch again")
    return Encoder(path)
