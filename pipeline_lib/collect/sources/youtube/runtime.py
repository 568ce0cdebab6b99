"""This machine → versions and age of yt-dlp, and the JavaScript runtime that it needs for YouTube."""

import datetime
import importlib.metadata
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from yt_dlp.globals import supported_js_runtimes
from yt_dlp.version import __version__

from pipeline_lib.core.errors import UserError

log = logging.getLogger(__name__)

OLD = 60  # days; yt-dlp is released about monthly, because YouTube changes
_COMMANDS = {"quickjs": "qjs"}  # where the program isn't called as the runtime


def log_versions(today: datetime.date | None = None) -> int:
    """Log the clients' versions, and warn of an old yt-dlp; returns its age in days."""
    released = datetime.date(*map(int, __version__.split(".")[:3]))
    age = ((today or datetime.datetime.now(datetime.UTC).date()) - released).days
    others = ", ".join(f"{name} {_version(name)}" for name in ("yt-dlp-ejs", "youtube-transcript-api"))
    log.info("yt-dlp %s (%d days old), %s", __version__, age, others)
    if age > OLD:
        log.warning("yt-dlp is %d days old, and YouTube changes often: pip install --upgrade 'yt-dlp[default]'", age)
    return age


def js_runtimes(wanted: Sequence[str]) -> dict[str, dict[str, str]]:
    """The first of the wanted runtimes that is here in a version yt-dlp supports, as its option `js_runtimes`.

    Raises:
        UserError: there is none.
    """
    if not wanted:
        return {}
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    seen = []
    for name in wanted:
        path = shutil.which(_COMMANDS.get(name, name), path=search)
        if path is None:
            continue
        info = supported_js_runtimes.value[name](path=path).info
        if info is not None and info.supported:
            log.info("JavaScript runtime: %s %s (%s)", name, info.version, path)
            return {name: {"path": path}}
        seen.append(f"{name} {info.version if info else 'at ' + path} is too old or broken")
    found = f" ({'; '.join(seen)})" if seen else ""
    raise UserError(
        f"no JavaScript runtime for yt-dlp{found}, which YouTube's pages need: pip install deno"
        " (or set source.youtube.js_runtimes to [] and do without, with fewer formats)"
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
