"""Video file → captions by speech recognition on this machine (the extra `asr`: faster-whisper)."""

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline_lib.collect.sources.base import Captions, Segment
from pipeline_lib.core.errors import ItemError, Reason, UserError, one_line

log = logging.getLogger(__name__)


def recognise(sound: Path, model: str, languages: Sequence[str]) -> Captions:
    """What is said, as captions of kind `asr`.

    Args:
        sound: a file with an audio stream.
        model: name of a faster-whisper model (downloaded on first use) or the folder of one.
        languages: wanted ones, as ISO 639-1; the language is recognised first.

    Raises:
        ItemError: no_captions (nothing is said), wrong_language, or undecodable.
        UserError: faster-whisper isn't installed, or the model can't be loaded.
    """
    try:
        segments, info = _model(model).transcribe(str(sound), vad_filter=True, beam_size=5, temperature=0.0)
        spoken = [
            Segment(start=round(one.start, 3), duration=round(one.end - one.start, 3), text=text)
            for one in segments
            if (text := " ".join(one.text.split()))
        ]
    except UserError:
        raise
    except Exception as error:  # whatever PyAV finds wrong with the sound
        raise ItemError(Reason.UNDECODABLE, f"sound: {one_line(error)}") from None
    if not spoken:
        raise ItemError(Reason.NO_CAPTIONS, "no captions, and no speech was recognised")
    if not any(language.split("-")[0] == info.language for language in languages):
        raise ItemError(Reason.WRONG_LANGUAGE, f"spoken in {info.language}; source.languages is {', '.join(languages)}")
    return Captions(captions=spoken, caption_kind="asr", language=info.language, model=model)


@functools.cache
def _model(name: str) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError:
        raise UserError(
            "source.youtube.captions.asr needs faster-whisper: pip install 'pipeline-lib[asr]', or set it to null"
        ) from None
    try:
        return WhisperModel(name, device="auto", compute_type="default")
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(f"the speech model {name!r} can't be loaded ({one_line(error)})") from None
