"""The headline command with `--use-conda`, against fake_conda/: a test double that records calls and installs nothing."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from workflow_project import TINY, Project
from workflow_rules import ROOT, RULES, environment_of, module_of

DOUBLE = Path(__file__).parent / "fake_conda/bin"
SMALLER = {"shards": 1, "source": {"demo": {**TINY["source"]["demo"], "train": 3, "val": 2, "test": 2}}}


class WithConda(Project):
    """A project whose snakemake finds the double where conda would be."""

    def environment(self):
        environment = super().environment()
        return environment | {
            "PATH": f"{DOUBLE}{os.pathsep}{environment['PATH']}",
            "FAKE_CONDA_LOG": str(self.folder / "conda.jsonl"),
            "FAKE_CONDA_PYTHON": sys.executable,
        }

    def noted(self, what):
        lines = (self.folder / "conda.jsonl").read_text().splitlines()
        return [one for one in map(json.loads, lines) if what in one]


@pytest.mark.slow
def test_the_headline_command_with_conda(tmp_path):
    project = WithConda.create(tmp_path / "project", **SMALLER)
    words = ("--cores", "16", "--use-conda", "results/coref_eval.json")
    output = project.run(*words).stdout
    rules = set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", output, re.MULTILINE))
    assert json.loads((project.folder / "results/coref_eval.json").read_text())

    created = {Path(one["prefix"]): one["content"] for one in project.noted("content")}
    wanted = {environment_of(rule): (ROOT / environment_of(rule)).read_text() for rule in RULES}
    assert sorted(created.values()) == sorted(wanted.values())  # every rule's environment, and each once
    names = {content: name for name, content in wanted.items()}

    ran = {}  # module → environments that it was started in
    for one in project.noted("ran"):
        if "-m" in one["ran"]:
            module = one["ran"][one["ran"].index("-m") + 1]
            ran.setdefault(module, set()).add(names[created[Path(one["prefix"])]])
    expected = {}
    for rule in rules:
        expected.setdefault(module_of(rule), set()).add(environment_of(rule))
    assert len(expected) > 15
    assert {module: ran.get(module) for module in expected} == expected

    calls = len(project.noted("content"))
    assert "Nothing to be done" in project.run(*words).stdout
    assert len(project.noted("content")) == calls


@pytest.mark.slow
def test_a_pin_file_beside_an_environment_is_used(tmp_path):
    """What `snakedeploy pin-conda-envs` leaves: the exact packages are installed in place of a solved environment."""
    project = WithConda.create(tmp_path / "project", **SMALLER)
    pin = "@EXPLICIT\nhttps://conda.anaconda.org/conda-forge/linux-64/python-3.11.13-h9e4cc4f_0_cpython.conda\n"
    (project.folder / "envs/data.linux-64.pin.txt").write_text(pin)
    project.run("--use-conda", "--conda-create-envs-only", "work/vid_urls.json")
    (made,) = project.noted("content")
    assert made["content"] == pin and made["call"][0] == "create" and "--yes" in made["call"]


@pytest.mark.slow
def test_without_conda_the_option_says_so(tmp_path):
    project = Project.create(tmp_path / "project")
    if shutil.which("conda"):
        pytest.skip("there is a conda here")
    done = project.run("-n", "--use-conda", check=False)
    assert done.returncode != 0 and "Is conda installed" in done.stdout
