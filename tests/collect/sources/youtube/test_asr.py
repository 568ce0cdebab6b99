"""Speech recognition with faster-whisper's interface played by the test; the real one is an extra that tests don't need."""

import sys
import types

import pytest

from pipeline_lib.collect.sources.youtube import asr
from pipeline_lib.core.errors import ItemError, Reason, UserError


@pytest.fixture
def whisper(monkeypatch):
    """A faster_whisper that hears what is put into `heard`, in the language `spoken`."""
    module = types.ModuleType("faster_whisper")
    module.heard, module.spoken, module.loaded = [], "en", []

    class WhisperModel:
        def __init__(self, name, **options):
            module.loaded.append(name)
            if name == "none":
                raise ValueError("Invalid model size 'none'")

        def transcribe(self, sound, **options):
            if sound.endswith("broken.m4a"):
                raise OSError("Invalid data found when processing input")
            cues = [types.SimpleNamespace(start=start, end=end, text=text) for start, end, text in module.heard]
            return iter(cues), types.SimpleNamespace(language=module.spoken)

    module.WhisperModel = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    asr._model.cache_clear()
    yield module
    asr._model.cache_clear()


def test_what_is_said(whisper, tmp_path):
    whisper.heard = [(0.0, 1.2345, " Of  course.\n"), (2.0, 2.5, " "), (3.0, 4.0, "You don't")]
    for _ in range(2):
        assert asr.recognise(tmp_path / "a.m4a", "tiny.en", ["de", "en-GB"]) == {
            "captions": [
                {"start": 0.0, "duration": 1.234, "text": "Of course."},
                {"start": 3.0, "duration": 1.0, "text": "You don't"},
            ],
            "caption_kind": "asr",
            "language": "en",
            "model": "tiny.en",
        }
    assert whisper.loaded == ["tiny.en"]


@pytest.mark.parametrize(
    ("name", "spoken", "heard", "reason"),
    [
        ("a.m4a", "en", [], Reason.NO_CAPTIONS),
        ("a.m4a", "fr", [(0.0, 1.0, "Bien sûr")], Reason.WRONG_LANGUAGE),
        ("broken.m4a", "en", [(0.0, 1.0, "x")], Reason.UNDECODABLE),
    ],
)
def test_what_is_not(whisper, tmp_path, name, spoken, heard, reason):
    whisper.spoken, whisper.heard = spoken, heard
    with pytest.raises(ItemError) as error:
        asr.recognise(tmp_path / name, "tiny", ["en"])
    assert error.value.reason == reason


def test_a_model_that_is_none(whisper, tmp_path):
    with pytest.raises(UserError, match="speech model 'none' can't be loaded"):
        asr.recognise(tmp_path / "a.m4a", "none", ["en"])


def test_without_the_extra_the_fix_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    asr._model.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'pipeline-lib\[asr\]'"):
        asr.recognise(tmp_path / "a.m4a", "tiny", ["en"])
