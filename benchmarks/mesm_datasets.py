"""A checkout of lntzm/MESM and the real annotations → its own datasets, with drawn features; for upstream_mesm_data.py."""

import contextlib
import functools
import importlib.util
import pickle
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import h5py
import numpy as np

from pipeline_lib.annotations import datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.config.moments import Moments
from pipeline_lib.moments.tagging import closed_class
from pipeline_lib.text import tokens, treebank

_PACKAGES = ("model", "utils", "dataset")
_WIDTHS = (6, 9)  # columns of the two feature files
_WORD_DIM = 300


class Case(NamedTuple):
    """A published configuration on one split."""

    name: str
    dataset: Dataset
    split: str
    theirs: str  # their class
    tokenizer: str  # ours
    clip_len: float
    max_video: int
    max_words: int = 16
    vocabulary: int = 1111
    files: int = 2


CHARADES = ("CharadesDataset", "clip", 1.0, 194)
CASES = [
    Case("Charades-STA C+SF, train", Dataset.CHARADES_STA, "train", *CHARADES),
    Case("Charades-STA C+SF, test", Dataset.CHARADES_STA, "test", *CHARADES),
    Case(
        "Charades-STA VGG + glove.pkl, test",
        Dataset.CHARADES_STA,
        "test",
        "CharadesDataset",
        "glove_pkl",
        0.17,
        600,
        files=1,
    ),
    *(
        Case(f"Charades-CG, {split}", Dataset.CHARADES_CG, split, "CharadesCGDataset", *CHARADES[1:])
        for split in ("train", "novel_composition", "novel_word", "test_trivial")
    ),
    *(
        Case(f"Charades-CD, {split}", Dataset.CHARADES_CD, split, "CharadesCDDataset", *CHARADES[1:])
        for split in ("train", "val", "test_iid", "test_ood")
    ),
    *(
        Case(f"TACoS C3D + GloVe, {split}", Dataset.TACOS, split, "TACoSDataset", "glove_nltk", -1, 600, files=1)
        for split in ("train", "test")
    ),
    *(
        Case(f"QVHighlights, {split}", Dataset.QVHIGHLIGHTS, split, "QVHighlightsDataset", "clip", 2.0, 75, 32, 5000)
        for split in ("train", "val")
    ),
]
GLOVE = "glove.txt"  # drawn vectors
COUNTS = {"tacos": "TACoS/annotations", "qvhighlights": "qvhighlights/annotations"}


@contextlib.contextmanager
def importable(checkout: Path) -> Iterator[None]:
    """Modules of the checkout can be imported; what they use of NLTK is ours, and pandas is stood in for."""
    nltk = mock.MagicMock()
    nltk.pos_tag = lambda words: [
        (word, "NN" if weight == 2 else "DT") for word, weight in zip(words, closed_class(words), strict=True)
    ]
    nltk.tokenize.word_tokenize = treebank.words
    stand_ins = {"nltk": nltk, "pandas": mock.MagicMock()}
    unlocked = functools.partial(h5py.File, locking=False)  # HDF5 wants a file to be opened alike by all
    with (
        mock.patch.dict(sys.modules, stand_ins),
        mock.patch.object(sys, "path", [str(checkout), *sys.path]),
        mock.patch.object(h5py, "File", unlocked),
    ):
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] in _PACKAGES]:
        del sys.modules[name]


def prepare(case: Case, checkout: Path, data: Path, folder: Path) -> Path:
    """A folder with the annotations and count files as upstream wants them, and drawn features and vectors."""
    place = folder / case.dataset
    place.mkdir(exist_ok=True)
    for path in (data / case.dataset).iterdir():
        with contextlib.suppress(FileExistsError):
            (place / path.name).symlink_to(path.resolve())
    for path in (checkout / "data" / COUNTS.get(case.dataset, "charades/annotations")).glob("*_tokenized_count.txt"):
        with contextlib.suppress(FileExistsError):
            (place / path.name).symlink_to(path.resolve())
    moments = datasets.read(case.dataset, place, case.split)
    draw = np.random.default_rng(len(moments))
    for number in range(case.files):
        with h5py.File(place / f"features_{number}.hdf5", "w") as file:
            for name, seconds in {one.video_id: one.duration for one in moments}.items():
                rows = (
                    int(draw.integers(20, 1400))
                    if case.clip_len == -1
                    else max(1, round(seconds / case.clip_len) + number)
                )
                file[name] = draw.standard_normal((rows, _WIDTHS[number]), np.float32)
    if case.tokenizer == "glove_pkl":
        counts = Counter(word for one in moments for word in treebank.words(one.sentence))
        known = Counter({word: n for i, (word, n) in enumerate(counts.items()) if i % 9})  # some words are unknown
        vectors = [np.zeros(_WORD_DIM, np.float32), *draw.standard_normal((len(known), _WORD_DIM), np.float32)]
        content = {
            "w2id": {word: i for i, word in enumerate(known, 1)} | {"<PAD>": 0},
            "id2vec": vectors,
            "counter": known,
        }
        (place / "glove.pkl").write_bytes(pickle.dumps(content))
    if case.tokenizer == "glove_nltk":
        words = sorted({word for one in moments for word in treebank.words(one.sentence)})
        with open(place / GLOVE, "w") as stream:
            for number, word in enumerate(words):
                if number % 9:  # some words have no vector
                    stream.write(f"{word} {' '.join(f'{x:.5f}' for x in draw.standard_normal(_WORD_DIM))}\n")
    return place


def options_of(case: Case, place: Path) -> Moments:
    """Ours for a case."""
    count = {"clip": "CLIP_tokenized_count.txt", "glove_pkl": "glove.pkl"}.get(
        case.tokenizer, "GloVe_tokenized_count.txt"
    )
    data = {
        "clip_len": case.clip_len,
        "max_words": case.max_words,
        "max_video": case.max_video,
        "tokenizer": case.tokenizer,
        "vocabulary": str(place / count),
        "vocabulary_size": case.vocabulary,
        "words": "none.txt",
        "pooled_rows": "as_published",
        "uneven": "cut",
        "uncounted_words": "as_published",
    }
    features = [str(place / f"features_{i}.hdf5") for i in range(case.files)]
    return Moments.model_validate(
        {
            "dataset": case.dataset.value,
            "annotations": str(place),
            "features": features,
            "data": data,
            "model": {"max_words": case.max_words},
        }
    )


def theirs(case: Case, options: Moments, package: Any) -> Any:
    """Upstream's dataset."""
    place, data = Path(options.annotations or ""), options.data
    vocab: Any = None
    if case.tokenizer == "glove_pkl":
        vocab = pickle.loads((place / "glove.pkl").read_bytes())  # noqa: S301 (written above)
    elif case.tokenizer == "glove_nltk":
        lines = (place / "GloVe_tokenized_count.txt").read_text().splitlines()
        vocab = package.Vocabulary({line.split(" ")[0] for line in lines})
    extra = {"max_windows": data.max_windows} if case.dataset == Dataset.QVHIGHLIGHTS else {}
    spec = importlib.util.find_spec("open_clip")
    assert spec is not None and spec.origin is not None
    return getattr(package, case.theirs)(
        ann_path=str(place),
        feat_files=options.features,
        split=case.split,
        use_tef=True,
        clip_len=case.clip_len,
        max_words_l=case.max_words,
        max_video_l=case.max_video,
        tokenizer_type="CLIP" if case.tokenizer == "clip" else "GloVeNLTK",
        load_vocab_pkl=case.tokenizer == "glove_pkl",
        bpe_path=str(Path(spec.origin).parent / tokens.BPE),
        vocab=vocab,
        normalize_video=True,
        contra_samples=2,
        recfw=True,
        vocab_size=case.vocabulary,
        max_gather_size=-1,
        **extra,
    )
