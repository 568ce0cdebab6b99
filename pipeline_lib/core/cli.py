"""A module's main function → its command line, with the project's exit statuses and one-line errors."""

import errno
import json
import logging
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from pipeline_lib.core.errors import STOPPED, USER_ERROR, StopStage, UserError, explain, fail, one_line
from pipeline_lib.core.redact import Formatter, redact

Options = TypeVar("Options", bound=BaseModel)


def run(main: Callable[..., Any]) -> None:
    """Run `main` as a typer command; a UserError prints one line and exits 2, a StopStage exits 3."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(main)
    try:
        app()
    except UserError as error:
        fail(f"error: {one_line(error, 1000)}", USER_ERROR)
    except StopStage as error:
        fail(f"stopped: {one_line(error, 1000)}", STOPPED)
    except (IsADirectoryError, NotADirectoryError, FileExistsError, PermissionError) as error:
        fail(f"error: {error.filename}: {error.strerror}; correct the path, or who may write there", USER_ERROR)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fail(
            f"stopped: no space left on the disk ({error.filename}); free some and run again, nothing done is lost",
            STOPPED,
        )
    except (MemoryError, RuntimeError) as error:
        if type(error).__name__ not in ("MemoryError", "OutOfMemoryError"):  # the latter is torch's, slow to import
            raise
        why = f" ({one_line(error)})" if str(error) else ""
        fail(f"stopped: out of memory{why}; free some, take smaller batches or another device", STOPPED)
    finally:
        sys.excepthook = _show  # now: typer has put its own there


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nobody expected, its traceback included, without secrets."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def parse_object(text: str, option: str = "--options") -> dict[str, Any]:
    """A JSON object from the command line; anything else is a UserError that names the option."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # the latter of brackets a thousand deep
        raise UserError(f"{option} {one_line(text, 60)} is not a JSON object ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f'{option} {one_line(text, 60)} is not a JSON object; give {{"key": value, …}}')
    return content


def parse_options(model: type[Options], text: str, option: str = "--options") -> Options:
    """Options from a JSON object; keys left out take the model's defaults. Wrong keys or values are a UserError.

    Args:
        option: which the text came by, for the message.
    """
    content = parse_object(text, option)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error)) from None
