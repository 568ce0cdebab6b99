"""predictions.json and frames → coref_report.html: per video what was matched, why, and what should have been.

Pictures stand in the page itself or, when they are many, in a folder beside it: coref_report_assets/<sha256>.jpg.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import pipeline_lib
from pipeline_lib.config.video import Video as Decoding
from pipeline_lib.core import arguments, cli, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.coref import predictions
from pipeline_lib.coref.names import WITH, WITHOUT
from pipeline_lib.coref.predictions import Predictions
from pipeline_lib.coref.report_view import Shown, View, summary, video_view
from pipeline_lib.coref.strips import key_times
from pipeline_lib.report import page
from pipeline_lib.report.assets import Assets, Place
from pipeline_lib.report.stills import Stills
from pipeline_lib.store.reader import ObjectFile

log = logging.getLogger(__name__)

NAMES = {WITHOUT: "without proposals", WITH: "with proposals"}
COUNTED = ("Clips", "Split", "Videos", "Score", "Threshold", "Correct", "False positives", "False negatives")
COLUMNS = (*COUNTED, "Precision", "Recall", "F1")


def show(
    found: Predictions, stills: Stills, objects: ObjectFile | None, captions: dict[str, Any], most: int
) -> dict[tuple[str, int], Shown]:
    """{(protocol, place of the video in it): what is known of the video}; every video is opened once."""
    times = {
        (name, place): key_times(video, most, protocol.similarity)
        for name, protocol in found.protocols.items()
        for place, video in enumerate(protocol.videos)
    }
    by_id: dict[str, list[tuple[str, int]]] = {}
    for name, place in times:
        by_id.setdefault(found.protocols[name].videos[place].video_id, []).append((name, place))
    shown = {}
    for video_id, keys in track(by_id.items(), "pictures", total=len(by_id)):
        wanted = [time for key in keys for clip in times[key] for time in clip]
        held, reason = stills.of(video_id, wanted)
        others = _others(objects, video_id)
        for key in keys:
            shown[key] = Shown(times[key], held, reason, captions.get(video_id, {}), others)
    return shown


def _others(objects: ObjectFile | None, video_id: str) -> Callable[[float], np.ndarray]:
    """A function from a time to all boxes (K, 4) of the frame then; none without a file that has the video."""
    if objects is None or video_id not in objects or not objects.step:
        return lambda time: np.zeros((0, 4))
    start, step, boxes = objects.start, objects.step, objects.read(video_id, ["boxes"])["boxes"]

    def at(time: float) -> np.ndarray:
        row = round((time - start) / step)
        if not 0 <= row < len(boxes):
            return np.zeros((0, 4))
        frame = boxes[row]
        return frame[np.isfinite(frame).all(axis=1) & (frame[:, 2] > frame[:, 0])]  # rows of zeros fill up a frame

    return at


def render(found: Predictions, shown: dict[tuple[str, int], Shown], src: Callable[[bytes], str], about: View) -> str:
    """The page; `about` is its provenance."""
    events = {
        event.name for protocol in found.protocols.values() for video in protocol.videos for event in video.events
    }
    types = sorted(events)
    kinds = {name: number for number, name in enumerate(types)}
    views = [
        video_view(name, protocol, video, shown[name, place], kinds, src)
        for name, protocol in found.protocols.items()
        for place, video in enumerate(protocol.videos)
    ]
    splits = dict.fromkeys(view["split"] for view in views)
    without = sum(not one.stills for one in shown.values())
    notes = [*found.notes, *([f"{without} of {len(shown)} items have no pictures; each says why."] if without else [])]
    return page.render(
        "coref_report.html.j2",
        package="pipeline_lib.coref",
        title="Multimodal event coreference: what was matched, and why",
        lead=f"System {found.system}: every clip of a video against every sentence of its article.",
        notes=notes,
        provenance=about,
        scripts=["coref_report.js"],
        styles=["coref_report.css"],
        protocols=[(name, NAMES.get(name, name)) for name in found.protocols],
        types=types,
        splits=list(splits),
        summary={"columns": COLUMNS, "rows": summary(found.protocols, NAMES)},
        videos=views,
    )


def _limited(found: Predictions, limit: int | None) -> Predictions:
    """The first `limit` videos of every protocol, the protocols in the order of NAMES."""
    kept = {
        name: protocol.model_copy(update={"videos": protocol.videos[:limit]})
        for name, protocol in sorted(found.protocols.items(), key=lambda item: (item[0] not in NAMES, item[0] == WITH))
    }
    return found.model_copy(update={"protocols": kept})


def main(
    predicted: Annotated[Path, typer.Option("--predictions", help="predictions.json of pipeline_lib.coref.evaluate")],
    out: Annotated[Path, typer.Option(help="coref_report.html")],
    frames: Annotated[Path | None, typer.Option(help="folder of the ledgers of stored frames, <work>/frames")] = None,
    videos: Annotated[
        Path | None, typer.Option(help="folder of the videos' ledgers, for videos without stored frames")
    ] = None,
    objects: Annotated[
        Path | None, typer.Option(help="objects.hdf5: objects that were found and not used are drawn faintly")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="vid2article_master_filtered.json: addresses, and what is said during a clip")
    ] = None,
    video: arguments.Video = "{}",
    every: Annotated[float, typer.Option(min=0.01, help="seconds between the frames of a video to choose from")] = 3.0,
    limit: Annotated[int | None, typer.Option(min=1, help="videos to show per protocol, the first ones")] = None,
    most: Annotated[int, typer.Option("--pictures-per-video", min=1, help="key frames of a video, at most")] = 24,
    side: Annotated[int, typer.Option("--picture-side", min=32, help="long side of a picture in pixels")] = 320,
    place: Annotated[
        Place, typer.Option("--pictures", help="auto: in the page up to 12 MB, else in a folder")
    ] = Place.AUTO,
) -> None:
    """Make the page for looking at matches one by one."""
    found = _limited(predictions.read(predicted), limit)
    master = files.read_json(captions) if captions else {}
    if not isinstance(master, dict) or not all(isinstance(entry, dict) for entry in master.values()):
        raise UserError(f"{captions} is no object {{video: entry}}; give vid2article_master_filtered.json")
    with ExitStack() as stack:
        stills = stack.enter_context(Stills(frames, videos, cli.parse_options(Decoding, video, "--video"), every, side))
        detected = stack.enter_context(ObjectFile(objects)) if objects else None
        shown = show(found, stills, detected, master, most)
    assets = Assets(out, (content for one in shown.values() for content in one.pictures()), place)
    about = {
        "predictions": {"sha256": files.sha256(predicted), **found.provenance},
        "page": {
            "code": {"version": pipeline_lib.__version__, "commit": provenance.commit()},
            "packages": provenance.versions(),
        },
    }
    files.write_text(out, render(found, shown, assets.src, about))
    assets.tidy()
    log.info("%s: %d items, %.1f MB", out.name, len(shown), out.stat().st_size / 1e6)


if __name__ == "__main__":
    cli.run(main)
