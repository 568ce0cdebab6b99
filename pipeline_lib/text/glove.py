"""A dataset's sentences and published word vectors → its vocabulary with vectors and counts: the content of glove.pkl.

    glove.safetensors    id2vec (n, dimension) float32, row 0 zeros
    glove.json           w2id {word: id}, 0 is <PAD>, the others in order of first appearance; counter {word: occurrences}
    glove.pkl            on request: {w2id: dict, id2vec: [float32 array of an id], counter: collections.Counter}

The rules are CPL's, whose glove.pkl MESM reads (specs: mesm §3): words are cut as treebank.py does, and those without a
vector are left out. Pickles are written here, and read by core.pickles, which executes nothing.
"""

import json
import logging
import pickle
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import safetensors.numpy
import typer

from pipeline_lib.core import cli, files, pickles
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.text import corpora, formats, treebank, vectors
from pipeline_lib.text.corpora import Corpus

log = logging.getLogger(__name__)
PAD = "<PAD>"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words with ids, vectors and counts.

    Attributes:
        w2id: word → id; the i-th word has id i, and word 0 is PAD.
        id2vec: (n, dimension) float32.
        counter: word → occurrences, in order of first appearance, which decides between equal counts.
    """

    w2id: dict[str, int]
    id2vec: np.ndarray
    counter: Counter[str]

    def __post_init__(self) -> None:
        if list(self.w2id.values()) != list(range(len(self.id2vec))) or not self.counter.keys() <= self.w2id.keys():
            raise ValueError(f"{len(self.w2id)} words and {len(self.counter)} counts for {len(self.id2vec)} vectors")

    def save(self, folder: Path, pkl: bool = False) -> None:
        """Write the files, each atomically; equal vocabularies give equal bytes."""
        folder = Path(folder)
        content = safetensors.numpy.save({"id2vec": np.ascontiguousarray(self.id2vec, np.float32)})
        _write(folder / "glove.safetensors", content)
        files.write_json(folder / "glove.json", {"w2id": self.w2id, "counter": dict(self.counter)}, sort_keys=False)
        if pkl:
            _write(folder / "glove.pkl", self.pickled())

    def pickled(self) -> bytes:
        """The bytes of glove.pkl, which environments with NumPy 1 read as well as those with NumPy 2."""
        # A pickle refers back to an object that it has seen, so which objects are shared must not vary.
        words = {word: str(bytes(word, "utf-8"), "utf-8") for word in self.w2id}
        content = {
            "w2id": {words[word]: i for word, i in self.w2id.items()},
            "id2vec": [np.array(row, np.float32) for row in self.id2vec],
            "counter": Counter({words[word]: n for word, n in self.counter.items()}),
        }
        return pickle.dumps(content, protocol=3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def _write(path: Path, content: bytes) -> None:
    with files.atomic(path) as temporary:
        temporary.write_bytes(content)


def read(path: Path) -> Vocabulary:
    """The vocabulary in a folder that `save` wrote, or in anyone's glove.pkl, of which nothing is executed."""
    path = Path(path)
    try:
        if path.suffix == ".pkl":
            content = pickles.load(path)
            ordered = dict(sorted(content["w2id"].items(), key=lambda item: item[1]))
            return Vocabulary(ordered, np.stack(content["id2vec"]).astype(np.float32), Counter(content["counter"]))
        content = files.read_json(path / "glove.json")
        matrix = safetensors.numpy.load_file(path / "glove.safetensors")["id2vec"]
        return Vocabulary(content["w2id"], matrix, Counter(content["counter"]))
    except (OSError, safetensors.SafetensorError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path} is not a glove vocabulary ({one_line(error)}); expected w2id, id2vec and counter that agree"
        ) from None


def build(texts: Iterable[str], known: vectors.WordVectors) -> Vocabulary:
    """The vocabulary of sentences: of their words those that have a vector."""
    return of_counts(count(texts), known)


def count(texts: Iterable[str]) -> Counter[str]:
    """Occurrences of all words, in order of first appearance."""
    found: Counter[str] = Counter()
    for text, times in Counter(texts).items():
        for word in treebank.words(text):
            found[word] += times
    return found


def of_counts(counts: Counter[str], known: vectors.WordVectors) -> Vocabulary:
    """The vocabulary of counted words."""
    counter = Counter({word: n for word, n in counts.items() if word in known.index})
    rows = [known.matrix[known.index[word]] for word in counter]
    matrix = np.stack([np.zeros(known.matrix.shape[1], np.float32), *rows])
    return Vocabulary({word: i for i, word in enumerate([PAD, *counter])}, matrix, counter)


def main(
    dataset: Annotated[Corpus, typer.Option(help="whose sentences")],
    annotations: Annotated[Path, typer.Option(help="folder of the dataset; of captions a vid2article JSON")],
    vectors_file: Annotated[
        Path, typer.Option("--vectors", help="glove.6B.300d.txt, glove.840B.300d.txt, or .bin, .pkl, .safetensors")
    ],
    out: Annotated[Path, typer.Option(help="folder to write glove.safetensors and glove.json into")],
    splits: Annotated[str | None, typer.Option(help="splits to read, train,val,…; default those of MESM")] = None,
    pkl: Annotated[bool, typer.Option("--pkl", help="write glove.pkl too, for code that loads one")] = False,
) -> None:
    """Write the vocabulary of a dataset's sentences: ids, vectors and counts of the words that have a vector."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give --out a folder, new or there already")
    counts = count(corpora.texts(dataset, annotations, splits))
    if vectors_file.suffix == ".txt":  # may hold 2.6 GB of other words
        known = vectors.WordVectors.of(*formats.glove(vectors_file, wanted=counts))
    else:
        known = vectors.read(vectors_file)
    found = of_counts(counts, known)
    found.save(out, pkl)
    missing = [word for word in counts if word not in found.counter]
    log.info(
        "%s: %d words, %d occurrences; without a vector %d words, %d occurrences%s",
        out,
        len(found.counter),
        found.counter.total(),
        len(missing),
        sum(counts[word] for word in missing),
        f": {one_line(json.dumps(missing[:10], ensure_ascii=False))}" if missing else "",
    )


if __name__ == "__main__":
    cli.run(main)
