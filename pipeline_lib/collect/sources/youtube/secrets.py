"""Path of a cookie file (configuration or environment) → its content, if nobody else can read the file."""

import io
import logging
import os
import re
import stat
from pathlib import Path

from pipeline_lib.core.errors import UserError

log = logging.getLogger(__name__)

VARIABLE = "YOUTUBE_COOKIES"
_HEADER = "# Netscape HTTP Cookie File\n"
_HTTP_ONLY = "#HttpOnly_"  # before a cookie that scripts don't see


def cookies(configured: str | None) -> io.StringIO | None:
    """The cookie file as a stream, so that the client has nothing to write back to; None where none is named.

    Raises:
        UserError: the file is missing, is no cookie file, or others may read it.
    """
    name = configured or os.environ.get(VARIABLE)
    if not name:
        return None
    path = Path(name).expanduser()
    try:
        with open(path, encoding="utf-8") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & 0o077:
                raise UserError(
                    f"the cookie file {path} has mode {mode:04o}; others must not read it: chmod 600 {path}"
                )
            text = stream.read(10**6)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise UserError(
            f"the cookie file {path} can't be read ({why}); correct source.youtube.cookies or {VARIABLE}"
        ) from None
    lines = text.split("\n")
    cookies = [line for line in lines if _is_cookie(line)]
    if not cookies:
        raise UserError(f"{path} is no cookie file: export it from the browser in Netscape's format (cookies.txt)")
    if odd := [
        number for number, line in enumerate(lines, 1) if line.strip() and not _is_cookie(line, or_comment=True)
    ]:
        log.warning("%s: lines %s are no cookies and left out", path.name, ", ".join(map(str, odd[:10])))
    return io.StringIO(_HEADER + "".join(f"{line}\n" for line in cookies))


def _is_cookie(line: str, or_comment: bool = False) -> bool:
    """Whether yt-dlp and Python's cookie jar take a line without complaint: their complaints would show it."""
    if line.lstrip().startswith(("#", "$")) and not line.startswith(_HTTP_ONLY):
        return or_comment
    fields = line.removeprefix(_HTTP_ONLY).split("\t")
    if len(fields) != 7 or fields[0].lstrip().startswith(("#", "$")):
        return False
    domain, with_subdomains, expires = fields[0], fields[1] == "TRUE", fields[4]
    return with_subdomains == domain.startswith(".") and bool(re.fullmatch(r"([0-9]{1,15}(\.[0-9]+)?)?", expires))
