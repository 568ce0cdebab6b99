"""The container recipes, read line by line: no image is built here, so what can be wrong without building is looked for."""

import json
import re
import shlex

from workflow_project import PARTS
from workflow_rules import ROOT

PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+[\w.-]*")  # name:1.2.3-variant, never :latest or none
HOME = "/opt/pipeline"


def instructions():
    """[(instruction, rest of its logical line)] of the Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "containers/Dockerfile").read_text(), flags=re.MULTILINE)
    return [tuple(line.split(None, 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def of(name):
    return [rest for instruction, rest in instructions() if instruction == name]


def copied():
    """{source: place in the image} of all that is copied."""
    found = {}
    for rest in of("COPY"):
        *sources, target = shlex.split(rest)
        found |= {one: target + one.rpartition("/")[2] if target.endswith("/") else target for one in sources}
    return found


def sections():
    """{name: lines} of the Apptainer definition; the header is under ''."""
    found, name = {"": []}, ""
    for line in (ROOT / "containers/pipeline.def").read_text().splitlines():
        if line.startswith("%"):
            name = line[1:].strip()
            found[name] = []
        elif line.strip():
            found[name].append(line.strip())
    return found


def test_dockerfile_is_made_of_known_instructions_and_a_pinned_base():
    known = {"FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}  # no ADD, which fetches and unpacks
    assert {name for name, _ in instructions()} == known
    assert instructions()[0][0] == "FROM" and all(PINNED.fullmatch(base) for base in of("FROM"))
    for rest in (*of("ENTRYPOINT"), *of("CMD")):
        assert all(isinstance(word, str) for word in json.loads(rest))  # a list: signals reach Snakemake
    assert not re.search(r"sudo|curl|wget|token|password", " ".join(of("RUN") + of("ENV")), re.IGNORECASE)


def test_image_runs_as_somebody_in_a_folder_of_theirs():
    users = of("USER")
    assert users == ["1000"] and of("WORKDIR") == ["/data"]
    order = [name for name, _ in instructions()]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name in ("RUN", "COPY"))


def test_packages_are_the_locked_ones():
    (install,) = (rest for rest in of("RUN") if "pip install" in rest)
    assert "--require-hashes" in install and "--no-cache-dir" in install and "requirements/base.txt" in install
    assert install in " ".join(sections()["post"])
    locked = (ROOT / "requirements/base.txt").read_text()
    assert "--hash=sha256:" in locked and "://" not in re.sub(r"#.*", "", locked)


def test_what_a_run_needs_is_copied_and_nothing_else():
    there = copied()
    linked = {"profiles"}  # a link in the project, made anew in the image
    assert set(PARTS) - linked <= set(there) and "." not in there
    assert set(there) - set(PARTS) == {"requirements/base.txt", "config", "pyproject.toml"}
    assert all((ROOT / source).exists() and place == f"{HOME}/{source}" for source, place in there.items())
    assert f"ln -s workflow/profiles {HOME}/profiles" in " ".join(of("RUN"))
    assert (ROOT / "profiles").readlink().as_posix() == "workflow/profiles"


def test_the_builder_is_sent_only_what_is_copied():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*" and {line[1:] for line in lines[1:] if line[0] == "!"} == set(copied())
    assert [line for line in lines[1:] if line[0] != "!"] == ["**/__pycache__"]


def test_apptainer_makes_the_same_image():
    parts = sections()
    header = dict(line.split(": ") for line in parts[""])
    assert header == {"Bootstrap": "docker", "From": of("FROM")[0]}
    assert dict(line.split() for line in parts["files"]) == copied()
    assert list(parts) == ["", "help", "files", "post", "environment", "runscript", "test"]
    assert parts["post"][0] == "set -eu"
    assert parts["runscript"] == [f'exec {" ".join(json.loads(of("ENTRYPOINT")[0]))} "$@"']
