"""Findings, article and captions of a video → its facts as JSON if it may be used; else the reason that speaks against it."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.clean import facts, file_checks, quarantine, text_checks
from pipeline_lib.clean.facts import Facts
from pipeline_lib.clean.findings import Findings
from pipeline_lib.clean.text_checks import Texts
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.clean import DueDiligence
from pipeline_lib.core import arguments, cli, files, ledger
from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage

log = logging.getLogger(__name__)

WHOLE_SECONDS = 1.0  # pages round durations


def check(found: Findings, texts: Texts, options: DueDiligence) -> None:
    """Pass a video through every check.

    Raises:
        ItemError: the first check that fails gives the reason; its detail also names the others.
    """
    against: list[ItemError] = []
    _try(against, file_checks.readable, found, options)
    if not against:
        for file_check in file_checks.CHECKS:
            _try(against, file_check, found, options)
        if not any(error.reason == Reason.TRUNCATED for error in against):
            _try(against, as_long_as_its_page_says, found, texts, options)
    for text_check in text_checks.CHECKS:
        _try(against, text_check, texts, options)
    if against:
        others = ", ".join(dict.fromkeys(str(error.reason) for error in against[1:]))
        raise ItemError(against[0].reason, against[0].detail + (f"; also {others}" if others else ""))


def _try(against: list[ItemError], check: Any, *arguments: Any) -> None:
    try:
        check(*arguments)
    except ItemError as error:
        against.append(error)


def as_long_as_its_page_says(found: Findings, texts: Texts, options: DueDiligence) -> None:
    """The file isn't shorter than its page declares: a download that broke off may still be a sound file."""
    if options.duration_tolerance is None or not texts.declared:
        return
    missing = texts.declared - found.seconds
    if missing > options.duration_tolerance * texts.declared + WHOLE_SECONDS:
        raise ItemError(
            Reason.TRUNCATED, f"pictures end at {found.seconds:.1f} s; its page says {texts.declared:.1f} s"
        )


def main(
    shard: arguments.Shard,
    videos: arguments.Videos,
    inspection: Annotated[Path, typer.Option(help="ledger of the inspection")],
    articles: Annotated[Path, typer.Option(help="ledger of the articles")],
    captions: Annotated[Path, typer.Option(help="ledger of the captions")],
    out: arguments.Out,
    options: arguments.Options = "{}",
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Judge every video of a shard, put the files of those that fail aside, and write the ledger and the facts."""
    wanted = cli.parse_options(DueDiligence, options)
    decisive = {key: value for key, value in as_dict(wanted).items() if key != "quarantine"}
    there = ledger.read(videos)
    root = ledger.root(out)

    def make(item: Item, to: Path) -> int:
        assert item.source is not None
        found = Findings(**files.read_json(item.source))
        article, spoken = (files.read_json(path) for path in item.also)
        texts = text_checks.read(article, spoken)
        check(found, texts, wanted)
        video = there[item.video_id]
        if not (root / str(video.artefact)).exists():
            raise ItemError(Reason.MISSING_FILE, quarantine.DELETED)
        kept = Facts(
            video_id=item.video_id,
            url=str(item.entry.get("url") or article.get("url") or ""),
            sha256=str(video.sha256),
            bytes=found.bytes,
            width=found.width,
            height=found.height,
            fps=round(found.rate, 3),
            seconds=round(found.length, 3),
            codec=found.codec,
            audio=found.audio,
            caption_kind=texts.caption_kind,
            segments=texts.segments,
            words=texts.words,
            language=texts.detected,
            confidence=texts.confidence,
            hashes=tuple(found.hashes),
        )
        files.write_json(to, asdict(kept))
        return 1

    rows = run_stage(
        Spec.of("due_diligence", "pipeline_lib.clean.due_diligence", decisive),
        shard,
        out,
        make,
        suffix=".json",
        source=inspection,
        also=[articles, captions],
        id_pattern=id_pattern,
        max_failed_fraction=max_failed_fraction,
    )
    kept = (files.read_json(root / str(row.artefact)) for row in rows.values() if row.ok)
    facts.write(facts.path_of(out), (Facts(**{**one, "hashes": tuple(one["hashes"])}) for one in kept))
    quarantine.settle(root, there, rows, wanted.quarantine)


if __name__ == "__main__":
    cli.run(main)
