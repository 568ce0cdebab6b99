"""A checkout of lntzm/MESM and the real annotations → how far our batches are from those of its own datasets, number by number.

python benchmarks/upstream_mesm_data.py --mesm ../MESM --data ../shared/data --out benchmarks/results/upstream_mesm_data.json

Upstream's dataset and text classes run as they are, on every split and with each published configuration's values. Features are
drawn at random, with lengths that differ by a row between files and, for VGG and C3D, exceed max_video. NLTK is stood in for
by our word cutting and tagger: those are choices of the text, not of the batches.
"""

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any
from unittest import mock

import numpy as np
import torch
import typer
from mesm_datasets import CASES, GLOVE, Case, importable, options_of, prepare, theirs
from torch import Tensor

from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.config.moments import Moments
from pipeline_lib.core import files
from pipeline_lib.moments import clip_words, queries, sentences, targets
from pipeline_lib.moments.data import Part
from pipeline_lib.moments.sentences import Sentences
from pipeline_lib.moments.tagging import closed_class
from pipeline_lib.moments.videos import Videos
from pipeline_lib.text import tokens


class Zeros:
    """An encoder of ours without vectors: what is compared here is tokens."""

    dim, mean_of_unit = 1, False

    def __init__(self, encoder: Any) -> None:
        self.vocabulary, self.cut = encoder.vocabulary, encoder.cut

    def vectors(self, cuts: list[Any]) -> list[np.ndarray]:
        """Ones."""
        return [np.ones((len(cut.tokens) + 2 * self.vocabulary.marks, 1), np.float32) for cut in cuts]


def encoded(case: Case, options: Moments, texts: list[str]) -> Sentences:
    """Our sentences; without vectors where CLIP would compute them."""
    count = Path(options.data.vocabulary or "")
    if case.tokenizer == "clip":
        from pipeline_lib.moments import vocabulary

        encoder = object.__new__(clip_words.ClipWords)
        encoder.options, encoder.vocabulary = options.data, vocabulary.clip(count, case.vocabulary)
        encoder._encode, encoder._tag = tokens.clip_encoder(), closed_class
        return Sentences.of(Zeros(encoder), texts, True)
    vectors = None if case.tokenizer == "glove_pkl" else count.with_name(GLOVE)
    return Sentences.of(sentences.open_encoder(options.data, count, vectors, texts, torch.device("cpu")), texts, True)


class Differences:
    """Largest difference and number of values compared, by what they are."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, int]] = {}

    def add(self, what: str, one: Any, other: Any) -> None:
        """Compare two arrays, of any type; other shapes are infinitely far apart."""
        a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
        largest = float(np.abs(a - b).max(initial=0.0)) if a.shape == b.shape else np.inf
        before, count = self.found.get(what, (0.0, 0))
        self.found[what] = max(before, largest), count + a.size


def compare(case: Case, checkout: Path, data: Path, folder: Path) -> dict[str, Any]:
    """Every item of a split."""
    place = prepare(case, checkout, data, folder)
    options = options_of(case, place)
    moments = queries.read(options, case.split)
    videos = Videos([Path(path) for path in options.features], options.data, cut=case.dataset == Dataset.QVHIGHLIGHTS)
    found = Differences()
    with importable(checkout), videos:
        dataset = theirs(case, options, importlib.import_module("dataset"))
        part = Part(moments, options, videos, encoded(case, options, [one.sentence for one in moments]), case.split)
        encode = their_vectors(case, place) if case.tokenizer == "glove_nltk" else None
        found.add("groups", len(part.groups), len(dataset))
        rng = np.random.default_rng(0)
        for index, group in enumerate(part.groups):
            item(case, part, group, dataset[index], found, rng)
            if encode is not None:
                glove_vectors(part, group, dataset[index], encode, found)
    return {"case": case.name, "queries": len(moments), "groups": len(part.groups), "compared": found.found}


def item(case: Case, part: Part, group: list[int], theirs: Any, found: Differences, rng: np.random.Generator) -> None:
    """A group of ours and an item of theirs."""
    batch = part.batch([group], rng)
    ours = [part.moments[number] for number in group]
    drawn = batch.targets
    assert drawn is not None
    scored = case.dataset == Dataset.QVHIGHLIGHTS
    found.add(
        "sentences, in order",
        [one.sentence == text for one, text in zip(ours, theirs["sentence"], strict=True)],
        [True] * len(ours),
    )
    if case.split != "train" or scored:
        found.add("numbers of queries", [one.query_id for one in ours], theirs["qid"])
    for place, one in enumerate(ours):
        rows = int(batch.video_mask[batch.of_video[place]].sum())
        features = theirs["video_feat"][place] if scored else theirs["video_feat"]
        found.add("rows: pooled, of unit length, with TEF", batch.video[batch.of_video[place]][:rows], features)
        found.add("rows inside", drawn.inside[place, :rows], theirs["clip_mask"][place][:rows])
        length = int(batch.words_mask[place].sum())
        tokens_there = int((theirs["words_label"][place] * 0 + 1).shape[1])
        weights = theirs["words_weight"][place][0]
        weights = weights / weights.sum()
        found.add("words: how likely masked", part.sentences.by_text[one.sentence].weights, weights[:length])
        found.add(
            "words: labels, and nothing beyond",
            torch.nn.functional.pad(drawn.labels[place, :length], (0, tokens_there - length)),
            theirs["words_label"][place][0],
        )
        found.add("words: unknown", drawn.unknown[place, :length], theirs["unknown_mask"][place][0, :length])
        count = int(drawn.moments_mask[place].sum())
        if scored:
            found.add("saliency", drawn.saliency[place, :rows], theirs["saliency_label"][place][:rows])
            if count == len(one.windows) <= part.options.data.max_windows:
                found.add("moments", drawn.moments[place, :count], theirs["norm_moment"][place])
            # the first of each pair is not drawn
            found.add(
                "most and least salient clip",
                [drawn.positive[place, 0], drawn.negative[place, 0]],
                [theirs["pos_idx"][place][0], theirs["neg_idx"][place][0]],
            )
        else:
            theirs_moment = torch.Tensor(theirs["moment"][place]) / torch.Tensor([theirs["duration"]])
            found.add("moments", drawn.moments[place, :count], theirs_moment[None])
            video = part.videos[one.video_id]
            found.add(
                "first and last row",
                targets.covered(one.windows[0], one.duration, video, part.options.data),
                (theirs["start_idx"][place], theirs["end_idx"][place]),
            )
            if case.tokenizer == "glove_pkl":
                process_pickled(batch, place, length, theirs, found)


def their_vectors(case: Case, place: Path) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Upstream's words and sentences of ids (n, L), with the vector of unknown words that its training draws."""
    module, runner = importlib.import_module("model.model"), importlib.import_module("model")
    words = {line.split(" ")[0] for line in (place / "GloVe_tokenized_count.txt").read_text().splitlines()}
    torch.manual_seed(2019)
    glove = runner.GloVe(str(place / GLOVE))
    stand = SimpleNamespace(
        text_encoder=runner.GloveTextEncoder(importlib.import_module("dataset").Vocabulary(words), glove),
        normalize_txt=True,
    )
    return lambda ids: module.MESM.GloVe_encode_text(stand, ids, ids != 0)


def glove_vectors(part: Part, group: list[int], theirs: Any, encode: Callable[..., Any], found: Differences) -> None:
    """Words and their mean, out of a file of vectors."""
    for place, number in enumerate(group):
        ours = part.sentences.by_text[part.moments[number].sentence]
        words, mean = encode(theirs["words_id"][place])
        found.add("words: vectors", ours.words, words[0, : len(ours.words)])
        found.add("sentences: means", ours.mean, mean[0])


def process_pickled(batch: Any, place: int, length: int, theirs: Any, found: Differences) -> None:
    """Words and their mean as upstream's network makes them of a glove.pkl's vectors."""
    rows = theirs["words_id"][place]
    words = torch.nn.functional.normalize(rows, dim=-1, p=2, eps=1e-5)
    mask = words.sum(-1) != 0
    mean = torch.nn.functional.normalize(words.sum(1) / mask.sum(1).unsqueeze(-1), dim=-1, p=2, eps=1e-5)
    found.add("words: vectors", batch.words[place, :length], words[0, :length])
    found.add("sentences: means", batch.sentences[place], mean[0])


def compare_text(checkout: Path) -> dict[str, Any]:
    """CLIP's text network with drawn weights, and the means of words, through upstream's code in float32."""
    found = Differences()
    texts = ["person opens the door.", "a man in a blue shirt talks to the camera while he is cooking pasta", "Dog!"]
    with importable(checkout):
        encoder = importlib.import_module("model.text_encoder")
        module = importlib.import_module("model.model")
        torch.manual_seed(0)
        with mock.patch.object(encoder.CLIPTextEncoder, "dtype", torch.float32):
            net = encoder.CLIPTextEncoder(512, 77, 49408, 512, 8, 12).float().eval()
            with tempfile.TemporaryDirectory() as folder:
                torch.save(net.state_dict(), Path(folder) / "clip_text_encoder.pth")
                ours = clip_words.text_network(clip_words.clip.MODEL, Path(folder) / "clip_text_encoder.pth")
            encode = tokens.clip_encoder()
            ids = torch.zeros(len(texts), 77, dtype=torch.long)
            for row, text in enumerate(texts):
                said = [clip_words.START, *encode(text)[:14], clip_words.END]
                ids[row, : len(said)] = torch.tensor(said)
            hidden = net(ids)["last_hidden_state"]
            stand = SimpleNamespace(text_encoder=net, max_words_l=16, normalize_txt=True)
            with (
                mock.patch.object(torch.nn.Module, "to", lambda self, *_, **__: self),
                mock.patch.object(torch.Tensor, "to", lambda self, *_, **__: self),
            ):
                words, mean, _, mask = module.MESM.CLIP_encode_text(stand, ids, ids != 0, torch.device("cpu"))
    with torch.inference_mode():
        mine = clip_words.last_hidden(ours, ids[:, :16])
    for row in range(len(texts)):
        length = int(mask[row].sum())
        found.add("CLIP: last hidden state", mine[row, :length], hidden[row, :length].detach())
        known = sentences.vocabulary.Vocabulary({}, 1, Path(), True)
        cut = sentences.Cut(ids[row, 1 : length - 1].tolist(), [1] * (length - 2))
        said = sentences._finish(cut, mine[row, :length].numpy(), known, True, False)
        found.add("CLIP: normalised words", said.words, words[row, :length].detach())
        found.add("CLIP: sentences", said.mean, mean[row].detach())
    return {"case": "CLIP's text network, drawn weights", "queries": len(texts), "compared": found.found}


def main(
    mesm: Annotated[Path, typer.Option(help="checkout of lntzm/MESM")],
    data: Annotated[Path, typer.Option(help="folder of the datasets' annotations, by name")],
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
    only: Annotated[str, typer.Option(help="cases whose name has this in it")] = "",
) -> None:
    """Compare, print the table, and write the numbers."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if only in case.name:
                rows.append(compare(case, mesm.resolve(), data.resolve(), Path(folder)))
                print(rows[-1]["case"], rows[-1]["queries"], rows[-1]["compared"], flush=True)
    rows.append(compare_text(mesm.resolve()))
    print(rows[-1]["case"], rows[-1]["compared"])
    largest: dict[str, float] = {}
    for row in rows:
        for what, (value, _) in row["compared"].items():
            largest[what] = max(largest.get(what, 0.0), value)
    print("\n".join(f"| {what} | {value:.2g} |" for what, value in largest.items()))
    if out is not None:
        files.write_json(out, {"largest": largest, "cases": rows}, sort_keys=False)


if __name__ == "__main__":
    typer.run(main)
