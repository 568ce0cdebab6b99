"""Name of an open_clip model → the network without weights, its tokeniser and its preprocessing; nothing is downloaded."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import open_clip
import torch
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from torch import Tensor, nn

from pipeline_lib.core.errors import UserError

MODEL = "ViT-B-32-quickgelu"  # OpenAI's ViT-B/32: with plain GELU its weights load too, and give something else

#: What OpenAI's files keep beside the parameters.
_SETTINGS = ("input_resolution", "context_length", "vocab_size")

Tokeniser = Callable[[list[str]], Tensor]  # sentences → (n, context) int64


def build(model: str = MODEL) -> nn.Module:
    """The network without weights, in evaluation mode.

    Raises:
        UserError: no such model in open_clip, or one whose tokeniser or text network would have to be downloaded.
    """
    _check(model)
    with _quiet():
        net: nn.Module = open_clip.create_model(model, pretrained=None, pretrained_text=False)
    net.register_load_state_dict_pre_hook(_drop_settings)
    return net.eval()


def tokeniser(model: str = MODEL) -> Tokeniser:
    """The model's tokeniser; sentences beyond its context (77) are cut, their end token kept."""
    _check(model)
    with _quiet():
        found: Tokeniser = open_clip.get_tokenizer(model)
    return found


def preprocessing(net: nn.Module, model: str, tag: str) -> PreprocessCfg:
    """Size, mean, deviation and way of resizing that the published weights `tag` of `model` were trained with.

    They belong to weights, not to a model: LAION's ViT-L-14 is fed with another mean than OpenAI's.
    """
    known = get_pretrained_cfg(model, tag)
    if not known:
        tags = ", ".join(list_pretrained_tags_by_model(model)) or "none"
        raise UserError(f"features.clip.preprocessing = {tag!r}: published weights of {model} are {tags}")
    visual: Any = net.visual
    return PreprocessCfg(**{**merge_preprocess_dict(PreprocessCfg(), known), "size": visual.image_size})


def geometry(preprocessing: PreprocessCfg) -> Callable[[Any], Any]:
    """open_clip's evaluation transform up to the PIL picture that is turned into a tensor: resize and crop."""
    steps = image_transform_v2(preprocessing, is_train=False).transforms
    names = [type(step).__name__ for step in steps]
    assert names[-2:] == ["MaybeToTensor", "Normalize"], names
    return lambda picture: functools.reduce(lambda done, step: step(done), steps[:-2], picture)


def normalise(pixels: Tensor, preprocessing: PreprocessCfg) -> Tensor:
    """Pixels (B, 3, h, w) in 0 … 255 as the network takes them: the rest of the transform."""
    mean, std = (
        torch.tensor(values, device=pixels.device).view(1, 3, 1, 1)
        for values in (preprocessing.mean, preprocessing.std)
    )
    return (pixels / 255.0 - mean) / std


def _check(model: str) -> None:
    config = open_clip.get_model_config(model) if model in open_clip.list_models() else None
    if config is None:
        raise UserError(f"features.clip.model = {model!r}: open_clip has no such model; {MODEL} is OpenAI's ViT-B/32")
    text = config["text_cfg"]
    if "hf_model_name" in text or "hf_tokenizer_name" in text or "siglip" in model.lower():
        raise UserError(f"features.clip.model = {model!r}: its tokeniser isn't part of open_clip; use e.g. {MODEL}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's lines in the root logger, the last of which warns that no weights are loaded (yet)."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _drop_settings(_net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in _SETTINGS:
        state.pop(prefix + key, None)
