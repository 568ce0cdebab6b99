import json
import logging
import sys

import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import dependencies, lexicon, role_graphs
from pipeline_lib.retrieval.lexicon import Lexicon
from pipeline_lib.retrieval.role_graphs import Node, Parser, RoleGraph

KNOWN = Lexicon(
    {"burns": "burn", "burning": "burn", "flames": "burn", "stops": "stop"},
    {"house": "house", "car": "car", "cars": "car", "square": "square"},
)
#: A line of upstream's file, as parse_sent_to_role_graph.ipynb writes it.
UPSTREAM = {
    "a egg is dropped into the cup": [
        {
            "ROOT": {"words": ["a", "egg"], "spans": [0, 1, 2, 3, 4, 5, 6], "role": "ROOT"},
            "1": {"role": "V", "spans": [3], "words": ["dropped"]},
            "2": {"role": "ARG1", "spans": [0, 1], "words": ["a", "egg"]},
            "3": {"role": "ARG4", "spans": [4, 5, 6], "words": ["into", "the", "cup"]},
        },
        [["1", "2", "ARG1"], ["1", "3", "ARG4"]],
    ]
}


def test_upstreams_file_is_read_and_written_as_it_was(tmp_path):
    (tmp_path / "graphs.json").write_text(json.dumps(UPSTREAM))
    found = role_graphs.read(tmp_path / "graphs.json")
    graph = RoleGraph(
        {"1": Node("V", (3,)), "2": Node("ARG1", (0, 1)), "3": Node("ARG4", (4, 5, 6))}, (("1", "2"), ("1", "3"))
    )
    assert found == {"a egg is dropped into the cup": graph}
    role_graphs.write(tmp_path / "again.json", found)
    nodes, edges = json.loads((tmp_path / "again.json").read_text())["a egg is dropped into the cup"]
    assert edges == UPSTREAM["a egg is dropped into the cup"][1]
    assert nodes["3"] == {"role": "ARG4", "spans": [4, 5, 6], "words": ["into", "the", "cup"]}
    assert nodes["ROOT"]["words"] == ["a", "egg", "is", "dropped", "into", "the", "cup"]
    assert role_graphs.read(tmp_path / "again.json") == found


def test_white_space_within_a_caption_does_not_count(tmp_path):
    (tmp_path / "graphs.json").write_text(json.dumps({" move  containers": [{"1": {"role": "V", "spans": [0]}}, []]}))
    found = role_graphs.read(tmp_path / "graphs.json")
    assert found == {"move containers": RoleGraph({"1": Node("V", (0,))}, ())}


@pytest.mark.parametrize(
    ("role", "number"),
    [
        ("V", 0),
        ("ARG1", 1),
        ("ARG0", 2),
        ("ARGM-MOD", 14),
        ("NOUN", 15),
        ("C-ARG1", 1),
        ("R-ARGM-LOC", 6),
        ("ARG5", 15),
    ],
)
def test_numbers_of_roles(role, number):
    assert role_graphs.role_number(role) == number


@pytest.mark.parametrize(
    "value", [[{"1": {"role": "V", "spans": []}}, []], [{"1": {"spans": [0]}}, []], [{}], "x", [{"1": 3}, []]]
)
def test_a_malformed_graph_is_named_by_its_caption(value, tmp_path):
    (tmp_path / "graphs.json").write_text(json.dumps({"a caption": value}))
    with pytest.raises(UserError, match="role graph of 'a caption' is malformed"):
        role_graphs.read(tmp_path / "graphs.json")


@pytest.mark.parametrize(
    ("caption", "nodes", "edges"),
    [
        ("a red car stops", [("V", (3,)), ("ARG0", (0, 1, 2))], [(0, 1)]),
        (
            "flames rise from the yellow house on the square",
            [("V", (0,)), ("ARGM-DIR", (2, 3, 4, 5)), ("ARGM-LOC", (6, 7, 8))],
            [(0, 1), (0, 2)],
        ),
        (
            "a house burns and the car stops",
            [("V", (2,)), ("V", (6,)), ("ARG0", (0, 1)), ("ARG0", (4, 5))],
            [(0, 2), (1, 3)],
        ),
        ("we see burning cars", [("V", (2,)), ("ARG1", (3,))], [(0, 1)]),
        ("two cars at the house", [("NOUN", (0, 1)), ("NOUN", (2, 3, 4))], []),
        ("nothing known", [], []),
    ],
)
def test_rules_over_known_words(caption, nodes, edges):
    assert KNOWN.graph(caption.split()) == (nodes, edges)


def test_classes_of_known_words():
    assert KNOWN.classes(["flames", "over", "the", "burning", "house"]) == (("burn", "burn"), ("house",))


def test_captions_without_verbs_or_nodes_are_named(caplog):
    caplog.set_level(logging.WARNING)
    graphs = role_graphs.make(["a car", "nothing known", "a car stops", "a car"], Parser.LEXICON, KNOWN)
    assert list(graphs) == ["a car", "nothing known", "a car stops"]
    assert graphs["a car stops"] == RoleGraph({"1": Node("V", (2,)), "2": Node("ARG0", (0, 1))}, (("1", "2"),))
    assert "1 of 3 captions have no verb: a car" in caplog.text
    assert "1 of 3 captions have neither verbs nor nouns: nothing known" in caplog.text
    with pytest.raises(UserError, match="need a lexicon"):
        role_graphs.make(["a car"], Parser.LEXICON)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"verbs": {"burn": ["burns"]}}, "names no nouns"),
        ({"verbs": {"burn": "burns"}, "nouns": {"car": ["car"]}}, "class 'burn' must be a list of words, not 'burns'"),
        ({"verbs": {"a": ["burns"], "b": ["Burns"]}, "nouns": {"car": ["car"]}}, "'Burns' belongs to 'a' and to 'b'"),
    ],
)
def test_a_lexicon_of_another_form(content, message, tmp_path):
    (tmp_path / "lexicon.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        lexicon.read(tmp_path / "lexicon.json")


def test_without_spacy_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(UserError, match=r"pip install 'pipeline-lib\[parse\]'"):
        list(dependencies.graphs(["a car stops"], "en_core_web_sm"))


def test_dependencies_to_roles():
    """A parse given by hand, so that no model is needed."""
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed (extra `parse`)")
    words = ["a", "man", "is", "pushed", "into", "the", "pool", "and", "swims"]
    doc = spacy.tokens.Doc(
        spacy.blank("en").vocab,
        words=words,
        tags=["DT", "NN", "VBZ", "VBN", "IN", "DT", "NN", "CC", "VBZ"],
        pos=["DET", "NOUN", "AUX", "VERB", "ADP", "DET", "NOUN", "CCONJ", "VERB"],
        heads=[1, 3, 3, 3, 3, 6, 4, 3, 3],
        deps=["det", "nsubjpass", "auxpass", "ROOT", "prep", "det", "pobj", "cc", "conj"],
    )
    nodes, edges = dependencies.graph(doc)
    assert nodes == [("V", (3,)), ("V", (8,)), ("ARG1", (0, 1)), ("ARGM-DIR", (4, 5, 6))]
    assert edges == [(0, 2), (0, 3), (1, 2)]


def test_a_model_that_isnt_there_is_named():
    pytest.importorskip("spacy", reason="spaCy is not installed (extra `parse`)")
    with pytest.raises(UserError, match="python -m spacy download no_such_model"):
        list(dependencies.graphs(["a car stops"], "no_such_model"))
