"""Captions → role graphs from spaCy's dependencies (extra `parse`); an approximation of semantic role labelling.

Verbs are those that spaCy tags so, auxiliaries left out. Their subjects are ARG0 (of passives ARG1), objects ARG1, datives and
complements ARG2, prepositional phrases what lexicon.ROLE_OF says, adverbs ARGM-ADV; each with the words below it in the tree.
A verb joined to another by "and" shares its subject. Without verbs noun chunks are NOUN, as in upstream's augmentation.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval.lexicon import ROLE_OF, Graph

_ROLES = {
    **{"nsubj": "ARG0", "csubj": "ARG0", "agent": "ARG0", "nsubjpass": "ARG1", "nsubj:pass": "ARG1"},
    **{
        "dobj": "ARG1",
        "obj": "ARG1",
        "iobj": "ARG2",
        "dative": "ARG2",
        "attr": "ARG2",
        "acomp": "ARG2",
        "oprd": "ARG2",
    },
    **{"advmod": "ARGM-ADV", "npadvmod": "ARGM-TMP", "prt": "ARGM-DIR"},
}
_SUBJECTS = ("nsubj", "nsubjpass", "nsubj:pass")


def graphs(captions: Sequence[str], model: str) -> Iterator[Graph]:
    """A graph per caption; words are what spaces separate, as everywhere here.

    Raises:
        UserError: spaCy or its model is missing.
    """
    try:
        import spacy
        from spacy.tokens import Doc
    except ImportError:
        raise UserError("spaCy is not installed: pip install 'pipeline-lib[parse]', or take --parser lexicon") from None
    try:
        nlp = spacy.load(model, exclude=["ner"])
    except (OSError, ValueError) as error:
        raise UserError(
            one_line(f"spaCy's model {model} can't be loaded ({error}); python -m spacy download {model}")
        ) from None
    docs: Iterable[Any] = (Doc(nlp.vocab, words=caption.split()) for caption in captions)
    return (graph(doc) for doc in nlp.pipe(docs))


def graph(doc: Any) -> Graph:
    """The graph of a parsed caption."""
    verbs = [token for token in doc if token.tag_.startswith("VB") and token.pos_ != "AUX"]
    nodes: list[tuple[str, tuple[int, ...]]] = [("V", (verb.i,)) for verb in verbs]
    edges: list[tuple[int, int]] = []
    places: dict[tuple[str, tuple[int, ...]], int] = {}
    for number, verb in enumerate(verbs):
        for child in _arguments(verb):
            role = ROLE_OF.get(child.lower_, "ARG2") if child.dep_ == "prep" else _ROLES.get(child.dep_)
            if role is not None:
                node = role, tuple(sorted(token.i for token in child.subtree))
                if node not in places:
                    places[node] = len(nodes)
                    nodes.append(node)
                edges.append((number, places[node]))
    if not verbs:
        chunks = [tuple(range(chunk.start, chunk.end)) for chunk in doc.noun_chunks]
        nodes = [("NOUN", words) for words in chunks or [(t.i,) for t in doc if t.tag_.startswith("NN")]]
    return nodes, edges


def _arguments(verb: Any) -> list[Any]:
    """Children of a verb; one without a subject that is joined to another takes that one's."""
    own = list(verb.children)
    if verb.dep_ == "conj" and not any(child.dep_ in _SUBJECTS for child in own):
        own += [child for child in verb.head.children if child.dep_ in _SUBJECTS]
    return own
