"""Sentence → tokens: words as GloVe's vocabulary has them, or the ids of CLIP's byte-pair encoding (specs: mesm §2)."""

import functools
import importlib.util
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.files import sha256

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
    return _clip_encoder()(sentence)


@functools.cache
def _clip_encoder() -> Callable[[str], list[int]]:
    """The `encode` of open_clip's tokenizer, with its vocabulary (49 408 entries) checked."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the CLIP tokenizer needs the package open_clip_torch; install requirements/base.txt")
    folder = Path(spec.submodule_search_locations[0])
    if not (folder / BPE).is_file() or sha256(folder / BPE) != BPE_SHA256:
        raise UserError(f"{folder / BPE} is not CLIP's vocabulary; install open_clip_torch again")
    encode: Callable[[str], list[int]] = _load(folder / "tokenizer.py").SimpleTokenizer(str(folder / BPE)).encode
    return encode


def _load(path: Path) -> Any:
    """The module in a file, without its package: `import open_clip` takes 2.9 s, this 1.4 s, nearly all of it torch."""
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} can't be loaded; install open_clip_torch again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
