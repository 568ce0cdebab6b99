"""Captions → role graphs: which words are a verb, which words play which role for it; as upstream's sent2rolegraph.augment.json.

    {caption: [{"ROOT": …, node: {"role": "V" | "ARG1" | …, "spans": [word, …], "words": […]}}, [[verb node, node, role], …]]}

Upstream made them with AllenNLP's semantic role labelling, which no longer installs. Here they are read from its files, or made
from rules over known words (lexicon.py) or from spaCy's dependencies (dependencies.py). Those are other graphs than upstream's:
a network wants one kind in training and afterwards.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from pipeline_lib.annotations import reading
from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval import corpus, dependencies, lexicon

log = logging.getLogger(__name__)

#: In the order of the role embedding; C- and R- before one (continued, reference) don't count, others are NOUN.
ROLES = (
    *("V", "ARG1", "ARG0", "ARG2", "ARG3", "ARG4", "ARGM-LOC", "ARGM-MNR", "ARGM-TMP", "ARGM-DIR", "ARGM-ADV"),
    *("ARGM-PRP", "ARGM-PRD", "ARGM-COM", "ARGM-MOD", "NOUN"),
)
VERB, ROOT = "V", "ROOT"
_EXPECTED = '{caption: [{node: {"role": …, "spans": [word number, …]}}, [[verb node, node, role], …]]}'


class Parser(StrEnum):
    """What makes role graphs."""

    LEXICON = "lexicon"
    SPACY = "spacy"


class Node(NamedTuple):
    """Words of a caption, by number from 0, and the role they play."""

    role: str
    words: tuple[int, ...]


class RoleGraph(NamedTuple):
    """Nodes by name in their order, the whole sentence left out, and edges from verbs to their arguments."""

    nodes: dict[str, Node]
    edges: tuple[tuple[str, str], ...]


def role_number(role: str) -> int:
    """Row of the role embedding."""
    plain = role[2:] if role[:2] in ("C-", "R-") else role
    return ROLES.index(plain) if plain in ROLES else ROLES.index("NOUN")


def read(path: Path) -> dict[str, RoleGraph]:
    """Role graphs by caption, words with single spaces between them.

    Upstream's keys are captions as annotated ("move  containers" of EPIC-Kitchens), but its graphs count words that any white
    space separates.

    Raises:
        UserError: no such file, or a malformed graph, which is named by its caption.
    """
    content = reading.parsed(reading.text(path, _EXPECTED), path, 1, _EXPECTED)
    if not isinstance(content, dict):
        raise reading.wrong(path, 1, "no object", _EXPECTED)
    return {" ".join(caption.split()): _graph(caption, value, path) for caption, value in content.items()}


def _graph(caption: str, value: Any, path: Path) -> RoleGraph:
    try:
        nodes, edges = value
        found = {}
        for name, node in nodes.items():
            if node["role"] != ROOT:
                words = tuple(node["spans"])
                if not words or not all(isinstance(word, int) and word >= 0 for word in words):
                    raise ValueError(f"node {name!r} has the words {node['spans']}")
                found[name] = Node(str(node["role"]), words)
        return RoleGraph(found, tuple((str(edge[0]), str(edge[1])) for edge in edges))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise UserError(
            one_line(f"{path}: the role graph of {caption!r} is malformed ({error}); expected {_EXPECTED}", 600)
        ) from None


def write(path: Path, graphs: Mapping[str, RoleGraph]) -> None:
    """Write role graphs as upstream reads them."""
    files.write_text(path, json.dumps({one: _content(one, graph) for one, graph in graphs.items()}) + "\n")


def _content(caption: str, graph: RoleGraph) -> list[Any]:
    words = caption.split()
    root = {"words": words, "spans": list(range(len(words))), "role": ROOT}
    nodes = {
        name: {"role": node.role, "spans": list(node.words), "words": [words[i] for i in node.words]}
        for name, node in graph.nodes.items()
    }
    edges = [[verb, name, graph.nodes[name].role] for verb, name in graph.edges]
    return [{ROOT: root, **nodes}, edges]


def make(
    captions: Iterable[str], parser: Parser, known: lexicon.Lexicon | None = None, model: str = ""
) -> dict[str, RoleGraph]:
    """The graph of every caption.

    Args:
        known: the words of `lexicon`.
        model: of spaCy.
    """
    different = list(dict.fromkeys(captions))
    if parser == Parser.LEXICON:
        if known is None:
            raise UserError("rules need a lexicon of known verbs and nouns; give --lexicon, or take spaCy")
        graphs = {caption: known.graph(caption.split()) for caption in different}
    else:
        graphs = dict(zip(different, dependencies.graphs(different, model), strict=True))
    found = {
        caption: RoleGraph({str(i): Node(role, words) for i, (role, words) in enumerate(nodes, 1)}, _names(edges))
        for caption, (nodes, edges) in graphs.items()
    }
    _report(found)
    return found


def _names(edges: Iterable[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(verb + 1), str(node + 1)) for verb, node in edges)


def _report(graphs: Mapping[str, RoleGraph]) -> None:
    """Say which captions have no verb, so that their verb level says nothing, and which have no node at all."""
    roles = {caption: {node.role == VERB for node in graph.nodes.values()} for caption, graph in graphs.items()}
    for what, without in (
        ("no verb", [caption for caption, kinds in roles.items() if kinds == {False}]),
        ("neither verbs nor nouns", [caption for caption, kinds in roles.items() if not kinds]),
    ):
        if without:
            first = "; ".join(without[:3])
            log.warning(one_line(f"{len(without)} of {len(graphs)} captions have {what}: {first}"))


def main(
    source: Annotated[
        list[Path], typer.Option("--captions", help="splits, as pipeline_lib.retrieval.prepare writes them")
    ],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    parser: Annotated[Parser, typer.Option(help="rules over known words, or spaCy's dependencies")] = Parser.LEXICON,
    words: Annotated[Path | None, typer.Option("--lexicon", help="known verbs and nouns, JSON")] = None,
    model: Annotated[str, typer.Option("--spacy-model", help="installed model of spaCy")] = "en_core_web_sm",
) -> None:
    """Write the role graphs of all captions of some splits."""
    captions = [caption.text for path in source for caption in corpus.read(path).captions]
    graphs = make(captions, parser, lexicon.read(words) if words else None, model)
    write(out, graphs)
    log.info("%s: %d role graphs by %s", out, len(graphs), parser)


if __name__ == "__main__":
    cli.run(main)
