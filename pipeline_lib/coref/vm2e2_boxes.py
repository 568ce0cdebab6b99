"""VM2E2's events → boxes of their participants in pixels of the videos."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline_lib.coref.vm2e2_reader import FRAME, Event
from pipeline_lib.store.export_source import Size, sizes_from

log = logging.getLogger(__name__)


def of_events(events: list[Event], size: Size) -> list[dict[str, Any]]:
    """Participants of all events, their boxes x1 y1 x2 y2 in pixels of a video of this (width, height), cut at its edges."""
    found = []
    for place, event in enumerate(events):
        for frame in event.key_frames:
            for argument in frame.arguments:
                scaled = [
                    min(max(value * size[i % 2] / FRAME[i % 2], 0.0), float(size[i % 2]))
                    for i, value in enumerate(argument.box)
                ]
                found.append(
                    {
                        "event": place,
                        "time": frame.time,
                        "box": scaled,
                        "role": argument.role,
                        "entity": argument.entity,
                        "article_event": argument.event,
                    }
                )
    return found


def of_videos(
    matched: Mapping[str, str], events: Mapping[str, list[Event]], sizes: Path | None
) -> dict[str, dict[str, Any]]:
    """{id: {size, boxes}} of all matched videos; where the size isn't known, in pixels of FRAME, and the log says so.

    Args:
        matched: {title: video id}.
        sizes: JSON file or folder that has the sizes, for `sizes_from`.
    """
    size_of = sizes_from(sizes)
    found = {video_id: size_of(video_id) for video_id in matched.values()}
    unknown = sum(size is None for size in found.values())
    if unknown:
        log.warning(
            "--boxes: of %d of %d videos the size isn't known, their boxes are in pixels of %dx%d; %s",
            *(unknown, len(found), *FRAME),
            f"{sizes} doesn't have them" if sizes else "give --sizes",
        )
    scales = {video_id: size or FRAME for video_id, size in found.items()}
    return {
        video_id: {"size": list(scales[video_id]), "boxes": of_events(events[title], scales[video_id])}
        for title, video_id in matched.items()
    }
