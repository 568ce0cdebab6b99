"""A sentence → the videos of a split that a trained HGR finds most like it.

python -m pipeline_lib.retrieval.search "a red car stops" --top 5
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from pipeline_lib.core import arguments, cli, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import corpus, lexicon, names, prepare, role_graphs, texts
from pipeline_lib.retrieval.checkpoint import Checkpoint
from pipeline_lib.retrieval.corpus import Video
from pipeline_lib.retrieval.data import Part
from pipeline_lib.retrieval.frames import Frames
from pipeline_lib.retrieval.role_graphs import Parser, RoleGraph


def best(
    checkpoint: Checkpoint, part: Part, sentence: str, graph: RoleGraph, top: int, where: torch.device
) -> list[tuple[float, Video]]:
    """The `top` videos with their similarity, best first; of equal ones the first of the split."""
    net = checkpoint.network().to(where)
    encoded = texts.encode([sentence], {sentence: graph}, checkpoint.vocabulary, checkpoint.options.data)
    part.frames.moments = checkpoint.moments
    with torch.inference_mode():
        query = net.texts(encoded.take(slice(0, 1)).to(where))
        scores = [
            net.scores(net.videos(clips.frames.to(where), clips.lengths.to(where)), query).fused[:, 0].cpu().numpy()
            for clips in part.blocks(300)
        ]
    found = np.concatenate(scores)
    order = np.argsort(-found, kind="stable")[:top]
    return [(float(found[i]), part.corpus.videos[int(part.videos[i])]) for i in order]


def graph_of(sentence: str, known: Path | None, parser: Parser, model: str) -> RoleGraph:
    """The query's role graph, made as those of training were."""
    words = lexicon.read(known) if known is not None and parser == Parser.LEXICON else None
    return role_graphs.make([sentence], parser, words, model)[sentence]


def main(
    query: Annotated[str, typer.Argument(help="what to look for, in a sentence")],
    top: Annotated[int, typer.Option(min=1, help="how many videos to list")] = 5,
    checkpoint: Annotated[Path, typer.Option(help="trained network")] = Path("work/retrieval/ranp/hgr.safetensors"),
    split: Annotated[Path, typer.Option(help="videos to search, as retrieval.prepare writes them")] = Path(
        "work/retrieval/test.json"
    ),
    features: Annotated[list[Path] | None, typer.Option(help="their features; default: work/s3d.hdf5")] = None,
    rows: Annotated[Path | None, typer.Option("--names", help="names of the rows of .npy features")] = None,
    known: Annotated[Path, typer.Option("--lexicon", help="known verbs and nouns, for the query's role graph")] = Path(
        "work/retrieval/lexicon.json"
    ),
    parser: Annotated[Parser, typer.Option(help="what makes the query's role graph")] = Parser.LEXICON,
    model: Annotated[str, typer.Option("--spacy-model", help="installed model of spaCy")] = "en_core_web_sm",
    where: arguments.Device = "auto",
) -> None:
    """List the videos that show what a sentence says."""
    device.deterministic()
    sentence = prepare.words(query)
    if not sentence:
        raise UserError("the query has no words; say what to look for")
    if not checkpoint.is_file():
        raise UserError(
            f"{checkpoint} does not exist; make it with `snakemake results/retrieval_eval.json`, or correct it"
        )
    loaded = Checkpoint.load(checkpoint)
    unknown = [word for word in sentence.split() if word not in loaded.vocabulary]
    if len(unknown) == len(sentence.split()):
        raise UserError(f"no word of {query!r} stands in the training captions; use others")
    graph = graph_of(sentence, known, parser, model)
    found = corpus.read(split)
    options = loaded.options.data
    encoded = texts.encode([sentence], {sentence: graph}, loaded.vocabulary, options)
    frames = Frames(features or [Path("work/s3d.hdf5")], options, names.read(rows) if rows else None)
    with frames:
        part = Part(found, encoded, frames, found.classes(), split.name)
        loaded.require(part.columns, str(checkpoint))
        listed = best(loaded, part, sentence, graph, top, device.choose(where))
    shown = Table(title=query, title_justify="left")
    for head in ("", "similarity", "video", "seconds", "captions"):
        shown.add_column(head, justify="right" if head in ("", "similarity") else "left")
    said: dict[str, list[str]] = {}
    for video, caption in found.pairs.tolist():
        said.setdefault(found.videos[video].video_id, []).append(found.captions[caption].text)
    for place, (value, video) in enumerate(listed, 1):
        seconds = "" if video.start is None else f"{video.start:.1f}–{video.end:.1f}"
        captions = "; ".join(list(dict.fromkeys(said.get(video.video_id, [])))[:2])
        shown.add_row(str(place), f"{value:.3f}", video.feature, seconds, captions)
    console = Console(width=None if Console().is_terminal else 130, markup=False)
    console.print(shown)
    if unknown:
        console.print(f"not in the training captions: {', '.join(unknown)}")


if __name__ == "__main__":
    cli.run(main)
