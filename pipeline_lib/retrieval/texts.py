"""Captions, their role graphs and a vocabulary → the arrays that HGR's text encoder reads (specs: ranp §3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.config.retrieval import RetrievalData
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval.encoders import Words
from pipeline_lib.retrieval.role_graphs import VERB, RoleGraph, role_number
from pipeline_lib.text import formats, vectors

BOS, EOS, UNK = 0, 1, 2
SPECIAL = ("<BOS>", "<EOS>", "<UNK>")
SPARSE = 10  # numbers per word that a vocabulary may have
Vocabulary = dict[str, int]


def vocabulary(captions: Iterable[str]) -> Vocabulary:
    """The words of captions in order of first appearance, behind the three special ones."""
    return {
        word: i for i, word in enumerate(dict.fromkeys([*SPECIAL, *(w for text in captions for w in text.split())]))
    }


def read_vocabulary(path: Path) -> Vocabulary:
    """Upstream's word2int*.json."""
    content = files.read_json(path)
    if not isinstance(content, dict) or not content or not all(isinstance(i, int) and i >= 0 for i in content.values()):
        raise UserError(f"{path} is no vocabulary; expected {{word: number}}, upstream's word2int.json")
    if max(content.values()) > SPARSE * len(content) + UNK:  # the embedding has a row for every number
        raise UserError(
            f"{path} numbers {len(content)} words up to {max(content.values())}; number them from 0 without gaps"
        )
    return content


def size(known: Vocabulary) -> int:
    """Rows of the embedding: those of all words, and of the special ones."""
    return max(*known.values(), UNK) + 1


def put_vectors(weight: Tensor, known: Vocabulary, path: Path) -> int:
    """Copy published vectors into the rows (words, dimension) of the words that have one; their number.

    Raises:
        UserError: they have another dimension, or none of the words is among them.
    """
    if path.suffix == ".txt":  # may hold 2.6 GB of other words
        found = vectors.WordVectors.of(*formats.glove(path, wanted=known))
    else:
        found = vectors.read(path)
    if found.matrix.shape[1] != weight.shape[1]:
        raise UserError(
            f"{path} has vectors of {found.matrix.shape[1]} numbers; set retrieval.model.word_dimension to that, "
            f"not {weight.shape[1]}"
        )
    rows = {number: found.index[word] for word, number in known.items() if word in found.index}
    if not rows:
        raise UserError(f"{path} has none of the {len(known)} words of the captions; give vectors of their language")
    with torch.no_grad():
        weight[list(rows)] = torch.from_numpy(found.matrix[list(rows.values())]).to(weight)
    return len(rows)


@dataclass(frozen=True)
class Encoded:
    """Captions as arrays; see Words for the first six, here as small integers and for all captions."""

    ids: np.ndarray
    lengths: np.ndarray
    verbs: np.ndarray
    nouns: np.ndarray
    roles: np.ndarray
    edges: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, chosen: np.ndarray | slice) -> Words:
        """Some captions, cut to the longest of them."""
        longest = int(self.lengths[chosen].max())
        return Words(
            torch.from_numpy(self.ids[chosen, :longest].astype(np.int64)),
            torch.from_numpy(self.lengths[chosen].astype(np.int64)),
            torch.from_numpy(self.verbs[chosen, :, :longest]),
            torch.from_numpy(self.nouns[chosen, :, :longest]),
            torch.from_numpy(self.roles[chosen].astype(np.int64)),
            torch.from_numpy(self.edges[chosen].astype(np.float32)),
        )


def encode(
    captions: Sequence[str], graphs: Mapping[str, RoleGraph], known: Vocabulary, options: RetrievalData
) -> Encoded:
    """Captions as arrays. Equal ones share their work.

    Raises:
        UserError: captions that have no words or no role graph.
    """
    if missing := list(dict.fromkeys(text for text in captions if text not in graphs)):
        first = "; ".join(missing[:3])
        raise UserError(
            one_line(
                f"{len(missing)} captions have no role graph: {first}; make them with pipeline_lib.retrieval.role_graphs",
                600,
            )
        )
    if any(not text.split() for text in captions):
        raise UserError("a caption has no words; leave it out")
    count, width, verbs, nouns = len(captions), options.max_words, options.verbs, options.nouns
    found = Encoded(
        ids=np.full((count, width), EOS, np.int32),
        lengths=np.zeros(count, np.int32),
        verbs=np.zeros((count, verbs, width), bool),
        nouns=np.zeros((count, nouns, width), bool),
        roles=np.zeros((count, verbs + nouns), np.uint8),
        edges=np.zeros((count, 1 + verbs + nouns, 1 + verbs + nouns), bool),
    )
    for i, text in enumerate(captions):
        numbers = [known.get(word, UNK) for word in text.split()[:width]]
        found.ids[i, : len(numbers)], found.lengths[i] = numbers, len(numbers)
        _graph(found, i, graphs[text], len(numbers))
    return found


def _graph(found: Encoded, i: int, graph: RoleGraph, words: int) -> None:
    """Nodes with words left after cutting, verbs and others in their order, as many as there is room for."""
    places: dict[str, int] = {}
    room = {True: found.verbs[i], False: found.nouns[i]}
    taken = {True: 0, False: 0}
    for name, node in graph.nodes.items():
        verb = node.role == VERB
        inside = [word for word in node.words if word < words]
        if not inside or taken[verb] >= len(room[verb]):
            continue
        room[verb][taken[verb], inside] = True
        places[name] = (0 if verb else len(room[True])) + taken[verb]
        found.roles[i, places[name]] = role_number(node.role)
        taken[verb] += 1
    edges = found.edges[i]
    edges[1 : 1 + taken[True], 0] = True  # the sentence tells its verbs
    for verb_name, name in graph.edges:
        if verb_name in places and name in places and graph.nodes[verb_name].role == VERB != graph.nodes[name].role:
            a, b = 1 + places[verb_name], 1 + places[name]
            edges[a, b] = edges[b, a] = True
