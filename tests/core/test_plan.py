"""What Snakemake says when it fails → the line that a person needs."""

import subprocess
from types import SimpleNamespace

import pytest

from pipeline_lib.core import adopt, files, plan
from pipeline_lib.core.errors import UserError

BANNER = "Using workflow specific profile profiles/default for setting default command line arguments.\n"
MACHINE = "Assuming unrestricted shared filesystem usage.\nSNAKEMAKE\n=========\n  Host: vm\n  Config MD5: 7a32\n\n"
CAUSE = "FileNotFoundError: [Errno 2] No such file or directory: 'nix.yaml'"
TRACEBACK = (
    f'Traceback (most recent call last):\n\n  File "cli.py", line 2168, in args_to_api\n    open(path)\n\n{CAUSE}\n\n'
)


@pytest.mark.parametrize(
    ("output", "errors", "expected"),
    [
        (TRACEBACK, BANNER, CAUSE),
        ("", BANNER + TRACEBACK, CAUSE),
        ("Config file a.yaml is extended by additional config.\n", BANNER + "error: nosuch\n", "error: nosuch"),
        ("", f"usage: __main__.py [-h]\n  [--cores N]\n__main__.py: error: no --{'x' * 9}\n", f"error: no --{'x' * 9}"),
        ("", f"{BANNER}{MACHINE}MissingInput in rule a:\n    nofile.txt\n", "MissingInput in rule a: nofile.txt"),
        ("", BANNER, "it didn't say why; run the same with snakemake itself"),
    ],
)
def test_the_cause_without_what_surrounds_it(output, errors, expected):
    assert plan.cause(output, errors) == expected


def test_both_commands_tell_it(monkeypatch, tmp_path):
    asked = []

    def fail(command, **_):
        asked.append(command)
        return SimpleNamespace(returncode=1, stdout=TRACEBACK, stderr=BANNER)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(UserError, match=r"^snakemake --dry-run failed: FileNotFoundError.*'nix.yaml'$"):
        plan.jobs(["results/coref_eval.json"])
    assert "--quiet=rules" in asked[0]  # as two words the target would be taken for a second value
    files.write_text(tmp_path / "s3d/0000.parquet", "")
    with pytest.raises(UserError, match=r"^snakemake --detailed-summary failed: FileNotFoundError.*'nix.yaml'$"):
        adopt.commands("s3d", tmp_path, [])
