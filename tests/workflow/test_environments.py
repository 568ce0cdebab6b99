"""Every rule's conda environment has what its module imports; every rule has a log and an environment."""

import ast
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from pipeline_lib.core.fingerprint import _imports

ROOT = Path(__file__).parents[2]
#: Import name → conda-forge name, where they differ.
CONDA = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "torch": "pytorch",
    "open_clip": "open-clip-torch",
    "matplotlib": "matplotlib-base",
}
CONDA |= {"webvtt": "webvtt-py", "yt_dlp": "yt-dlp", "youtube_transcript_api": "youtube-transcript-api"}
OPTIONAL = {"dateutil", "torchcodec", "faster_whisper"}
STANDARD = set(__import__("sys").stdlib_module_names)


def rules():
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for text in re.split(r"^(?=rule |checkpoint |for network )", path.read_text(), flags=re.MULTILINE)[1:]:
            if text.startswith("for network"):  # one rule per feature, written once
                for network in ("s3d", "resnet152", "resnext101", "clip"):
                    named = textwrap.dedent(text.partition("\n")[2]).replace("{network}", network)
                    yield (
                        network,
                        named.replace("{params.module}", f"pipeline_lib.features.{network}").replace('(f"', '("'),
                    )
            else:
                yield text.split(":")[0].split()[1], text


RULES = dict(rules())


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
    text = RULES[rule]
    assert re.search(r"^    log:", text, re.MULTILINE)
    environment = re.search(r'conda:\s+"\.\./\.\./(envs/\w+\.yaml)"', text)
    module = re.search(r"(?:python|\{params\.launch\}) -m (pipeline_lib[\w.]+)", text)
    assert environment and module, f"rule {rule} has no conda environment or calls no module"
    assert f'fingerprint("{module[1]}")' in text
    listed = yaml.safe_load((ROOT / environment[1]).read_text())["dependencies"]
    plain = [name for one in listed for name in (one["pip"] if isinstance(one, dict) else [one])]
    has = {re.split(r"[=<> ]", name)[0] for name in plain}
    needs = {CONDA.get(name, name) for name in imports(module[1], set())}
    assert needs - OPTIONAL <= has, f"{environment[1]} lacks {sorted(needs - has)} for rule {rule}"


def test_rule_files_stay_small():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        assert len(path.read_text().splitlines()) <= 150, path.name
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60
