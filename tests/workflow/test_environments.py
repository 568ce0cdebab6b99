"""Every rule's conda environment and pyproject.toml have what its module imports, in versions that fit each other."""

import ast
import re
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from workflow_rules import ROOT, RULES, environment_of, module_of

from pipeline_lib.core.fingerprint import _imports

#: Import name → name on conda-forge, where they differ.
CONDA = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "torch": "pytorch",
    "open_clip": "open-clip-torch",
    "matplotlib": "matplotlib-base",
    "webvtt": "webvtt-py",
    "yt_dlp": "yt-dlp",
    "youtube_transcript_api": "youtube-transcript-api",
    "faster_whisper": "faster-whisper",
}
#: Name on conda-forge → on PyPI, where they differ.
PYPI = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
OPTIONAL = {"dateutil", "torchcodec", "faster-whisper", "spacy", "nltk"}
STANDARD = set(sys.stdlib_module_names)
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(lines):
    """{name: specifiers} of requirements as pyproject.toml lists them."""
    return {canonicalize_name(one.name): one.specifier for one in map(Requirement, lines)}


def packages(environment):
    """{name on conda-forge or PyPI: version asked for, "" where any} of a conda environment, its pip section included."""
    listed = yaml.safe_load(environment.read_text())["dependencies"]
    plain = [name for one in listed for name in (one["pip"] if isinstance(one, dict) else [one])]
    return dict(re.fullmatch(r"([\w-]+)(.*)", name.replace(" ", "")).groups() for name in plain)


def imports(module, seen):
    """Third-party packages that a module of this project imports at any depth."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if module in seen or not path.is_file():
        return set()
    seen.add(module)
    tree = ast.parse(path.read_text())
    names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {
        n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module and not n.level
    }
    for name in _imports(tree, module.rpartition(".")[0]):
        names |= imports(name, seen)
    return {name for name in names if name != "pipeline_lib" and name not in STANDARD}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_rule(rule):
    assert re.search(r"^    log:", RULES[rule], re.MULTILINE)
    environment, module = environment_of(rule), module_of(rule)
    assert f'fingerprint("{module}")' in RULES[rule]
    needs = {CONDA.get(name, name) for name in imports(module, set())} - OPTIONAL
    lacking = needs - packages(ROOT / environment).keys()
    assert not lacking, f"{environment} lacks {sorted(lacking)} for rule {rule}"


def test_pyproject_lists_all_that_is_imported():
    plain = requirements(PROJECT["dependencies"])
    extras = requirements(
        line for name in ("torchcodec", "asr", "parse", "tag") for line in PROJECT["optional-dependencies"][name]
    )
    seen, needs = set(), set()
    for path in sorted((ROOT / "pipeline_lib").rglob("*.py")):
        needs |= imports(".".join(path.relative_to(ROOT).with_suffix("").parts), seen)
    names = {canonicalize_name(PYPI.get(CONDA.get(name, name), CONDA.get(name, name))) for name in needs}
    assert names - OPTIONAL <= plain.keys(), f"pyproject.toml lacks {sorted(names - OPTIONAL - plain.keys())}"
    assert names & OPTIONAL <= extras.keys() and not extras.keys() & plain.keys()


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
def test_pins_lie_within_pyproject_and_agree(environment):
    """A pin is `name=version` up to major or minor; what no line asks the version of comes with another package."""
    allowed = requirements(PROJECT["dependencies"])
    others = {name: version for other in ENVIRONMENTS for name, version in packages(other).items()}
    listed = yaml.safe_load(environment.read_text())
    assert listed["channels"] == ["conda-forge", "nodefaults"]
    for name, asked in packages(environment).items():
        assert asked == others[name], f"{name} is {asked} here and {others[name]} in another environment"
        if name in ("python", "pip", "regex", "deno"):
            continue
        assert re.fullmatch(r"={1,2}\d+(\.\d+)*|>=\d+(\.\d+)*", asked), f"{name}{asked} is no pin"
        newest = Version(asked.strip("=>") + ".99")  # of what the pin lets in
        limits = allowed.get(canonicalize_name(PYPI.get(name, name)), SpecifierSet())
        assert newest in limits, f"{environment.name} pins {name}{asked}, pyproject.toml wants {limits}"


def test_rule_files_stay_small():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        assert len(path.read_text().splitlines()) <= 150, path.name
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60
