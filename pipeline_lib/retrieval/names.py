"""Lists of video or caption names, as .npy (HGR's splits), .json or lines of text → strings."""

from collections import Counter
from pathlib import Path

import numpy as np

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line


def read(path: Path) -> list[str]:
    """Names of rows or columns: a .npy array of strings (as HGR's names), a JSON list, or a line each.

    Raises:
        UserError: the file is missing, malformed or names something twice.
    """
    if path.suffix == ".npy":
        try:
            loaded = np.load(path, allow_pickle=False)
            found = [one.decode() if isinstance(one, bytes) else str(one) for one in np.ravel(loaded).tolist()]
        except FileNotFoundError:
            raise UserError(f"{path} does not exist; correct the path") from None
        except (ValueError, OSError, EOFError) as error:  # bytes that are no UTF-8, too
            raise UserError(one_line(f"{path}: {error}; save the names as text, a line each")) from None
    elif path.suffix == ".json":
        found = files.read_json(path)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise UserError(f"{path} is no JSON list of names; write one, or a line each in a .txt file")
    else:
        try:
            found = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise UserError(f"{path} does not exist or is no file; correct the path") from None
        except UnicodeDecodeError:
            raise UserError(f"{path} is not UTF-8 text; write the names as text, a line each") from None
    if len(set(found)) != len(found):
        [(twice, _)] = Counter(found).most_common(1)
        raise UserError(one_line(f"{path} names {twice!r} twice; names must be unique"))
    return found
