"""Videos that failed due diligence → their files in quarantine/<reason>/, each with a JSON that says why.

    python -m pipeline_lib.clean.quarantine work             # what is there
    python -m pipeline_lib.clean.quarantine work --restore   # back to where they came from

In the file's place stays a relative link to it. So every stage still finds it: nothing is downloaded again, and with
other limits, under which the video passes, it is used and goes back to its place. Of a deleted file the link stays, too, and
stands for it (core/files.py, is_whole) until it is restored, that is, fetched again.
"""

import contextlib
import json
import logging
import os
from collections import Counter
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.config.clean import Quarantine
from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import RETRIED, Reason, UserError
from pipeline_lib.core.ledger import FAILED, Row

log = logging.getLogger(__name__)

FOLDER = "quarantine"
DELETED = "due diligence deleted it; python -m pipeline_lib.clean.quarantine WORK --restore, then run again"


def settle(work: Path, videos: Mapping[str, Row], verdicts: Mapping[str, Row], mode: Quarantine) -> None:
    """Bring the files of a shard's videos to where their verdicts want them. Does nothing where they are there already.

    Args:
        work: the work folder.
        videos: ledger of the video files.
        verdicts: ledger of due diligence.
    """
    there = _contents(work / FOLDER)
    _remove_partials(work / FOLDER, verdicts)
    for video_id, verdict in verdicts.items():
        video = videos.get(video_id)
        if video is None or not video.ok or not (verdict.ok or verdict.status == FAILED):
            continue
        artefact = work / str(video.artefact)
        wanted = None if verdict.ok or mode == "keep" or verdict.reason in RETRIED else Reason(str(verdict.reason))
        if wanted is None:
            if verdict.ok or mode == "keep":
                _return(work, artefact, there.get(video_id, set()))
            continue
        _forget(work, artefact, there.get(video_id, set()) - {str(wanted)})
        _put_aside(work, artefact, video, verdict, delete=mode == "delete")


def _contents(folder: Path) -> dict[str, set[str]]:
    """{video_id: reasons} of the records in quarantine."""
    found: dict[str, set[str]] = {}
    for reason in Reason:
        if (folder / reason).is_dir():
            for entry in os.scandir(folder / reason):
                if entry.name.endswith(".json"):
                    found.setdefault(entry.name.removesuffix(".json"), set()).add(str(reason))
    return found


def _remove_partials(folder: Path, videos: Container[str]) -> None:
    """Delete records that a killed run had begun to write of these videos; other shards write here, too."""
    for path in folder.glob(f"*/.*.json{files.PARTIAL}"):
        if path.name.partition("-")[2].removesuffix(f".json{files.PARTIAL}") in videos:
            path.unlink(missing_ok=True)


def _put_aside(work: Path, artefact: Path, video: Row, verdict: Row, *, delete: bool) -> None:
    """Move or delete the file, write its record, and leave a link. Killed at any point, the next call completes it."""
    aside = work / FOLDER / str(verdict.reason) / artefact.name
    record = {
        "video_id": video.video_id,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "file": aside.name if artefact.exists() and not delete else None,
        "from": str(video.artefact),
        "bytes": video.bytes,
        "sha256": video.sha256,
    }
    path = aside.with_suffix(".json")
    if not path.exists() or files.read_json(path) != record:
        files.write_json(path, record)
    if artefact.exists() and artefact.resolve() != aside.resolve():
        origin = artefact.resolve() if artefact.is_symlink() else artefact
        if artefact.is_symlink():  # it is in quarantine for another reason
            os.replace(origin, aside)
        else:
            aside.unlink(missing_ok=True)
            _link(origin, aside)
    _point(artefact, aside)
    if delete:
        aside.unlink(missing_ok=True)


def _link(origin: Path, aside: Path) -> None:
    """A second name for a file; on file systems without them its only one."""
    try:
        os.link(origin, aside)
    except OSError:
        os.replace(origin, aside)


def _point(artefact: Path, aside: Path) -> None:
    """Make `artefact` a relative link to `aside`, in one step."""
    target = os.path.relpath(aside, artefact.parent)
    if artefact.is_symlink() and str(artefact.readlink()) == target:
        return
    temporary = files.partial_name(artefact)
    temporary.symlink_to(target)
    os.replace(temporary, artefact)
    files.fsync_folder(artefact.parent)


def _return(work: Path, artefact: Path, reasons: set[str]) -> None:
    """Put a file back in its place and remove its records; one that was deleted stays so."""
    if artefact.is_symlink():
        if not artefact.exists():
            return
        os.replace(artefact.resolve(), artefact)
        files.fsync_folder(artefact.parent)
    _forget(work, artefact, reasons)


def _forget(work: Path, artefact: Path, reasons: set[str]) -> None:
    """Remove records, and files that nothing stands for any more: a newer one was downloaded."""
    for reason in reasons:
        aside = work / FOLDER / reason / artefact.name
        if not (artefact.is_symlink() and artefact.resolve() == aside.resolve()):
            aside.unlink(missing_ok=True)
        aside.with_suffix(".json").unlink(missing_ok=True)


def restore(work: Path) -> Counter[str]:
    """Put everything back; what was deleted will be fetched by the next run. {reason: number of files}.

    The ledgers of due diligence of these shards go, so that the next run judges their videos again.
    """
    counts: Counter[str] = Counter()
    for path in sorted((work / FOLDER).glob("*/*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            origin = Path(str(record["from"]))
        except (ValueError, KeyError, TypeError):
            log.info("%s is no record; left alone", path)
            continue
        artefact = work / origin
        if origin.is_absolute() or ".." in origin.parts or not artefact.is_symlink():
            continue
        shard = f"{artefact.parent.name}.parquet"
        (work / "due_diligence" / shard).unlink(missing_ok=True)  # first: killed after it, the next run completes it
        if artefact.exists():
            _return(work, artefact, {path.parent.name})
        else:
            artefact.unlink()
            path.unlink()
            (work / "videos" / shard).unlink(missing_ok=True)
        counts[path.parent.name] += 1
    for folder in [*(work / FOLDER).glob("*/"), work / FOLDER]:
        with contextlib.suppress(OSError):  # not there, or not empty
            folder.rmdir()
    return counts


def main(
    work: Annotated[Path, typer.Argument(help="work folder")] = Path("work"),
    back: Annotated[bool, typer.Option("--restore", help="put every file back where it came from")] = False,
) -> None:
    """Say what is in quarantine, or put it back. Change the limits first: the next run puts aside what still fails."""
    if not work.is_dir():
        raise UserError(f"no work folder {work}; give its path")
    if back:
        counts = restore(work)
    else:
        counts = Counter(reason for reasons in _contents(work / FOLDER).values() for reason in reasons)
    for reason, count in counts.most_common():
        log.info("%6d %s", count, reason)
    restored = "restored; the next run of snakemake judges them again" if counts else "to restore"
    log.info("%d files %s", counts.total(), restored if back else "in quarantine")


if __name__ == "__main__":
    cli.run(main)
