"""CSV and JSON files of captions → rows with their line numbers, and cells as classes; what is wrong is said with its place."""

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_lib.annotations import reading
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import labels
from pipeline_lib.retrieval.labels import Labels

Row = dict[str, Any]


def rows(path: Path, needed: tuple[str, ...], expected: str) -> Iterator[tuple[int, Row]]:
    """(line, row) of a CSV with a header, or (number, row) of a JSON list of objects.

    Raises:
        UserError: the file is missing or malformed, is a pickled table, or lacks one of the columns `needed`.
    """
    if path.suffix in (".pkl", ".pickle"):
        raise UserError(
            f"{path} is a pickled table, which would have to be executed; write it as text first, where it is trusted: "
            'pandas.read_pickle(path).to_csv("captions.csv")'
        )
    content = reading.text(path, expected)
    found = _json(content, path, expected) if path.suffix == ".json" else _csv(content, path, expected)
    for line, row in found:
        missing = [column for column in needed if row.get(column) is None]
        if missing:
            raise reading.wrong(path, line, f"no {', '.join(missing)}", expected)
        yield line, row


def _csv(content: str, path: Path, expected: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    table = csv.DictReader(io.StringIO(content, newline=""))
    try:
        for row in table:
            if None in row:
                raise reading.wrong(path, table.line_num, "more cells than the header has columns", expected)
            yield table.line_num, row
    except csv.Error as error:
        raise reading.wrong(path, table.line_num, str(error), expected) from None


def _json(content: str, path: Path, expected: str) -> Iterator[tuple[int, Row]]:
    entries = reading.parsed(content, path, 1, expected)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise reading.wrong(path, 1, 'no list of objects (pandas: to_json(path, orient="records"))', expected)
    yield from enumerate(entries, 1)


def cell(row: Row, column: str, path: Path, line: int) -> Labels:
    """The classes in a cell of a row."""
    try:
        return labels.parse(row[column])
    except ValueError as error:
        raise reading.wrong(path, line, f"{column}: {error}", "a class, or a list of classes") from None
