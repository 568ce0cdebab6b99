import errno
import subprocess
import sys

import pytest
import torch

from pipeline_lib.config.video import Frames
from pipeline_lib.core import cli
from pipeline_lib.core.errors import StopStage, UserError


def run(monkeypatch, error):
    def main() -> None:
        raise error

    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(SystemExit) as left:
        cli.run(main)
    return left.value.code


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("no such\nfile"), 2, "error: no such file\n"),
        (StopStage("rate limited"), 3, "stopped: rate limited\n"),
        (
            IsADirectoryError(21, "Is a directory", "t"),
            2,
            "error: t: Is a directory; correct the path, or who may write there",
        ),
        (OSError(errno.ENOSPC, "full", "work/x"), 3, "stopped: no space left on the disk (work/x)"),
        (
            torch.OutOfMemoryError("CUDA out of memory.\nTried 2 GiB"),
            3,
            "stopped: out of memory (CUDA out of memory. Tried",
        ),
        (MemoryError(), 3, "stopped: out of memory; free some"),
    ],
)
def test_mistakes_are_one_line(monkeypatch, capsys, error, status, line):
    assert run(monkeypatch, error) == status
    printed = capsys.readouterr().err
    assert printed.startswith(line) and printed.count("\n") == 1


def test_an_unexpected_error_shows_no_secret(tmp_path):
    script = tmp_path / "stage.py"
    script.write_text(
        "from pipeline_lib.core import cli\n"
        "def main() -> None:\n"
        "    raise ValueError(f'Cookie: SID={1234567}')\n"
        "cli.run(main)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "stage.py" in done.stderr
    assert done.stderr.endswith("ValueError: Cookie: [hidden]\n")


def test_options_are_checked():
    assert cli.parse_options(Frames, '{"every": 1}').every == 1
    with pytest.raises(UserError, match="evry: no such key"):
        cli.parse_options(Frames, '{"evry": 1}')
    with pytest.raises(UserError, match="every = -1"):
        cli.parse_options(Frames, '{"every": -1}')
    with pytest.raises(UserError, match=r"--options every=1 is not a JSON object"):
        cli.parse_options(Frames, "every=1")
    with pytest.raises(UserError, match=r"--frame-options every=1 is not a JSON object"):
        cli.parse_options(Frames, "every=1", "--frame-options")
    for text in ("[]", "3", '"every"', "null", "[" * 100_000):
        with pytest.raises(UserError, match=r"--options .* is not a JSON object"):
            cli.parse_options(Frames, text)
