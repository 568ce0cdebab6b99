"""workflow/rules/*.smk → the text of every rule, its conda environment and the module that it runs."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NETWORKS = ("s3d", "resnet152", "resnext101", "clip")  # a rule per feature, written once


def _rules() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for text in re.split(r"^(?=rule |checkpoint |for )", path.read_text(), flags=re.MULTILINE)[1:]:
            if text.startswith("for network"):
                for network in NETWORKS:
                    named = textwrap.dedent(text.partition("\n")[2]).replace("{network}", network)
                    named = named.replace("{params.module}", f"pipeline_lib.features.{network}")
                    yield network, named.replace('(f"', '("')
            elif text.startswith("for "):
                found = re.search(r'else "(\w+)"', text)  # the first of several has this name
                assert found, text
                yield found[1], textwrap.dedent(text.partition("\n")[2])
            else:
                yield text.split(":")[0].split()[1], text


RULES = dict(_rules())


def environment_of(rule: str) -> str:
    """Path of a rule's conda environment in the project, e.g. envs/data.yaml."""
    found = re.search(r'conda:\s+"\.\./\.\./(envs/\w+\.yaml)"', RULES[rule])
    assert found, f"rule {rule} has no conda environment"
    return found[1]


def module_of(rule: str) -> str:
    """Dotted name of the module that a rule runs."""
    found = re.search(r"(?:python|\{params\.launch\}) -m (pipeline_lib[\w.]+)", RULES[rule])
    assert found, f"rule {rule} calls no module"
    return found[1]
