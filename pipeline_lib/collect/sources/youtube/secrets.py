"""Path of a cookie file (configuration or environment) → its content, if nobody else can read the file."""

import io
import os
import stat
from pathlib import Path

from pipeline_lib.core.errors import UserError

VARIABLE = "YOUTUBE_COOKIES"


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
    if not any(line.count("\t") >= 6 for line in text.splitlines()):
        raise UserError(f"{path} is no cookie file: export it from the browser in Netscape's format (cookies.txt)")
    return io.StringIO(text)
