"""CLIP embeddings: open_clip's own preprocessing and tokens, images and sentences in one space."""

import logging

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from pipeline_lib.core import checkpoint, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.features import clip
from pipeline_lib.features.nets import clip as nets
from pipeline_lib.features.nets import untrained_clip
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling

OPTIONS = clip.Options(batch=2)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def ready() -> clip.Clip:
    device.deterministic()
    return clip.equip(untrained_clip.untrained(0), OPTIONS)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Of sizes that resizing has to round for."""
    random = np.random.default_rng(0)
    small = [random.integers(0, 256, (9, 16, 3), np.uint8) for _ in range(3)]
    sizes = [(398, 224), (225, 401), (100, 97)]
    return [np.asarray(Image.fromarray(p).resize(size)) for p, size in zip(small, sizes, strict=True)]


def test_preprocessing_is_that_of_open_clip(ready, pictures) -> None:
    transform = open_clip.image_transform(224, is_train=False)
    units = torch.from_numpy(np.stack(list(clip.units(iter(pictures), ready.preprocessing))))
    assert units.shape == (3, 224, 224, 3) and units.dtype == torch.uint8
    ours = nets.normalise(units.permute(0, 3, 1, 2), ready.preprocessing)
    theirs = torch.stack([transform(Image.fromarray(picture)) for picture in pictures])
    assert torch.equal(ours, theirs)


def test_preprocessing_follows_the_weights(ready) -> None:
    """LAION trained the same network with another mean, and others squash the picture."""
    assert ready.preprocessing.mean == open_clip.OPENAI_DATASET_MEAN
    net = ready.net
    assert nets.preprocessing(net, "ViT-L-14", "laion2b_s32b_b82k").mean == (0.5, 0.5, 0.5)
    squashed = nets.geometry(nets.preprocessing(net, "ViT-B-16-SigLIP", "webli"))
    assert squashed(Image.new("RGB", (300, 100))).size == (224, 224)
    with pytest.raises(UserError, match="published weights of ViT-B-32-quickgelu are openai"):
        nets.preprocessing(net, "ViT-B-32-quickgelu", "none such")


def test_frames_are_sampled_whole() -> None:
    info = VideoInfo(640, 480, fps=30.0, duration=9.0, codec="h264", streams=1, audio=False)
    assert clip.sampling(info, OPTIONS) == Sampling(3.0, "at_or_after", "")


def test_image_rows(ready, pictures) -> None:
    rows = clip.features(iter(pictures), ready, OPTIONS, CPU)
    assert rows.shape == (3, 512) and rows.dtype == np.float16
    wide = rows.astype(np.float32)
    assert np.abs(np.linalg.norm(wide, axis=1) - 1).max() < 1e-3
    units = torch.from_numpy(np.stack(list(clip.units(iter(pictures), ready.preprocessing))))
    with torch.inference_mode():
        ours = torch.nn.functional.normalize(clip.forward(ready, units), dim=1)
        theirs = ready.net.encode_image(nets.normalise(units.permute(0, 3, 1, 2), ready.preprocessing), normalize=True)
    torch.testing.assert_close(ours, theirs)
    assert np.abs(wide - ours.numpy()).max() < 1e-3
    assert (wide @ wide.T)[np.triu_indices(3, 1)].max() < 0.99


def test_tokens() -> None:
    tokens = nets.tokeniser()(["a fire", "", "word " * 200])
    assert tokens.shape == (3, 77)
    assert tokens[0, :5].tolist() == [49406, 320, 1769, 49407, 0]  # OpenAI's ids of start, a, fire and end
    assert tokens[1, :3].tolist() == [49406, 49407, 0]
    assert tokens[2, 0] == 49406 and tokens[2, -1] == 49407  # cut, with its end


def test_sentences(ready) -> None:
    texts = ["a fire", "the crowd marches", "", "A  Fire"]
    rows = clip.sentences(texts, ready, OPTIONS, CPU)
    assert rows.shape == (4, 512) and rows.dtype == np.float16
    wide = rows.astype(np.float32)
    assert np.abs(np.linalg.norm(wide, axis=1) - 1).max() < 1e-3
    assert np.allclose(wide[0], wide[3], atol=1e-3)  # case and blanks fold
    assert wide[0] @ wide[1] < 0.95
    assert len(clip.sentences([], ready, OPTIONS, CPU)) == 0


@pytest.mark.parametrize("model", ["none such", "hf-hub:a/b", "roberta-ViT-B-32", "ViT-B-16-SigLIP"])
def test_models_that_would_need_the_network_are_refused(model: str) -> None:
    with pytest.raises(UserError, match=r"features\.clip\.model"):
        nets.build(model)


def test_openai_files_load(tmp_path, ready, caplog) -> None:
    """In half precision and with three settings beside the parameters."""
    state = {key: value.half() for key, value in ready.net.state_dict().items()}
    state |= {
        "input_resolution": torch.tensor(224),
        "context_length": torch.tensor(77),
        "vocab_size": torch.tensor(49408),
    }
    torch.save(state, tmp_path / "ViT-B-32.pth")
    with caplog.at_level(logging.INFO):
        loaded = clip.load(OPTIONS, tmp_path / "ViT-B-32.pth", CPU)
    assert not caplog.records  # open_clip would warn of random weights
    weight = loaded.net.visual.proj
    assert weight.dtype == torch.float32 and torch.equal(weight.half(), state["visual.proj"])
    torch.save({"visual.proj": weight}, tmp_path / "torn.pth")
    with pytest.raises(UserError, match="doesn't fit CLIP"):
        checkpoint.load(loaded.net, tmp_path / "torn.pth")


def test_untrained_depends_on_the_seed_alone(ready) -> None:
    torch.manual_seed(5)
    again, state = untrained_clip.untrained(0).state_dict(), ready.net.state_dict()
    assert all(torch.equal(state[key], again[key]) for key in state)
