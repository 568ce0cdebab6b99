"""Checkouts of RANP, JPoSE and Semantic-Video-Retrieval → how far our relevance, metrics and HGR are from theirs, on equal input.

python benchmarks/upstream_retrieval.py --ranp ../ranp --jpose ../Joint-Part-of-Speech-Embeddings \
    --svr ../Semantic-Video-Retrieval --out benchmarks/results/upstream_retrieval.json

Their functions run as they are; modules that they import but these functions don't use are stood in for. With pandas installed,
JPoSE's script of the official EPIC-Kitchens-100 relevance runs too. `--epic`, a folder of EPIC_100_retrieval_test*.csv, compares
the metrics on the real relevance of 9668 × 3842 as well.
"""

import contextlib
import importlib
import importlib.util
import io
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest import mock

import numpy as np
import typer
import upstream_hgr

from pipeline_lib.core import files
from pipeline_lib.retrieval import directions, metrics, relevance, sides
from pipeline_lib.retrieval.annotations import Caption, Dataset

Row = dict[str, Any]
EXACT = 1e-9
PACKAGES = ("t2vretrieval", "framework", "scripts", "evaluation")  # of the checkouts, which use the same names


class Upstream(NamedTuple):
    """Where the checkouts are."""

    ranp: Path
    jpose: Path
    svr: Path
    epic: Path | None


@contextlib.contextmanager
def importable(folder: Path, *stand_ins: str) -> Iterator[None]:
    """Modules of a checkout can be imported; those of other packages that `stand_ins` names do nothing."""
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update({name: mock.MagicMock() for name in stand_ins})
    with mock.patch.object(sys, "path", [str(folder), *sys.path]):
        yield
    for name in list(sys.modules):
        if name in stand_ins or name.partition(".")[0] in PACKAGES:
            del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if module is not None})


def row(what: str, theirs: Any, ours: Any) -> Row:
    """A line of the table."""
    theirs, ours = np.asarray(theirs, np.float64), np.asarray(ours, np.float64)
    assert theirs.shape == ours.shape, (what, theirs.shape, ours.shape)
    return {"what": what, "values": theirs.size, "largest difference": float(np.abs(theirs - ours).max())}


def drawn(seed: int, count: int = 60, verbs: int | None = None) -> list[Caption]:
    """Captions of random classes, some without any, three captions a video; `verbs`: of every caption, otherwise 0 to 3."""
    random = np.random.default_rng(seed)
    return [
        Caption(
            f"video{i // 3}_{i % 3}",
            f"video{i // 3}",
            "",
            tuple(random.integers(0, 6, verbs or random.integers(0, 4)).tolist()),
            tuple(random.integers(0, 9, random.integers(0, 5)).tolist()),
        )
        for i in range(count)
    ]


def compare_relevance(upstream: Upstream) -> list[Row]:
    """RANP's relevance of a batch and of pooled classes, Wray's of words, and the official one of EPIC-Kitchens-100."""
    with importable(upstream.ranp):
        helpers = importlib.import_module("t2vretrieval.models.ndcg_map_helpers")
        graphs = importlib.import_module("t2vretrieval.readers.rolegraphs")
    rows = []
    single, lists = drawn(0, verbs=1), drawn(1)
    for what, captions, verb in (
        ("relevance of a batch, a verb each (RANP)", single, lambda one: one.verbs[0]),
        ("relevance of a batch, lists (RANP)", lists, lambda one: list(one.verbs)),
    ):
        theirs = [[helpers.relevance(verb(a), verb(b), a.nouns, b.nouns) for b in captions] for a in captions]
        rows.append(row(what, theirs, relevance.relevance(captions, captions)))
    database = {
        one.caption_id: {"annotations": [{"verb_class": list(one.verbs), "noun_classes": list(one.nouns)}]}
        for one in lists
    }
    pooled = []
    for video in dict.fromkeys(one.video_id for one in lists):
        keys = [one.caption_id for one in lists if one.video_id == video]
        pooled.append([graphs.extract_video_classes(database, keys, name) for name in ("verb_class", "noun_classes")])
    theirs = [[helpers.relevance(v, list(b.verbs), n, list(b.nouns)) for b in lists] for v, n in pooled]
    rows.append(row("relevance of pooled classes (RANP)", theirs, whole(sides.by_video(lists))))
    return rows + compare_words(upstream, lists) + compare_official(upstream)


def whole(about: sides.Sides) -> np.ndarray:
    """The matrix of all blocks."""
    return np.concatenate(list(relevance.blocks(about)))


class Frame:
    """What Wray's functions use of a pandas.DataFrame."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Any:
        return mock.Mock(values=self.columns[name])


def compare_words(upstream: Upstream, captions: list[Caption]) -> list[Row]:
    """BoW, PoS and SYN: one set of words, or the mean of two."""
    stand_ins = ("nltk", "nltk.translate", "nltk.translate.meteor_score", "pandas", "tqdm")
    with importable(upstream.svr / "src", *stand_ins):
        theirs = importlib.import_module("scripts.create_relevancy_matrix")
    with mock.patch.object(theirs, "tqdm", list):
        both = Frame({"parsed_verbs": [c.verbs for c in captions], "parsed_nouns": [c.nouns for c in captions]})
        pos = theirs.create_relevancy_matrix(both, theirs.get_col_name("PoS"))
        bow = theirs.create_relevancy_matrix(
            Frame({"non_stop_words": both.columns["parsed_nouns"]}), theirs.get_col_name("BoW")
        )
    words = [Caption(one.caption_id, one.video_id, "", words=one.nouns) for one in captions]
    return [
        row("bags of words (Wray et al.)", bow, relevance.relevance(words, words)),
        row("parts of speech, synsets (Wray et al.)", pos, relevance.relevance(captions, captions)),
    ]


def compare_official(upstream: Upstream) -> list[Row]:
    """The official relevance of 200 clips × the sentences among them."""
    if importlib.util.find_spec("pandas") is None:
        print("pandas isn't installed: JPoSE's official relevance is left out")
        return []
    pandas = importlib.import_module("pandas")
    clips = [
        Caption(f"P{i}", f"P{i}", f"sentence {one.verbs[0]} {one.nouns[0]}", one.verbs, one.nouns)
        for i, one in enumerate(drawn(2, 300, verbs=1))
        if one.nouns
    ][:200]
    table = pandas.DataFrame(
        {
            "narration": [one.text for one in clips],
            "verb_class": [one.verbs[0] for one in clips],
            "all_noun_classes": [list(one.nouns) for one in clips],
        }
    )
    first = {one.text: one for one in reversed(clips)}
    sentences = [first[text] for text in dict.fromkeys(one.text for one in clips)]
    listed = pandas.DataFrame(
        {"verb_class": [one.verbs[0] for one in sentences], "noun_class": [list(one.nouns) for one in sentences]}
    )
    with importable(upstream.jpose / "src", "word2vec", "tqdm"):
        official = importlib.import_module("scripts.create_relevancy_files")
    with mock.patch.object(official, "tqdm", list):
        theirs = (official.create_verb_relevancy(table, listed) + official.create_noun_relevancy(table, listed)) / 2
    return [row("official EPIC-Kitchens-100 relevance (JPoSE)", theirs, whole(sides.by_caption(clips, sentences)))]


def compare_metrics(upstream: Upstream) -> list[Row]:
    """nDCG, mAP, recalls and ranks in both directions, on random matrices without ties and on real relevance."""
    with importable(upstream.ranp):
        helpers = importlib.import_module("t2vretrieval.models.ndcg_map_helpers")
        evaluation = importlib.import_module("t2vretrieval.models.evaluation")
    with importable(upstream.jpose / "src"):
        jpose = [importlib.import_module(f"evaluation.{name}") for name in ("nDCG", "mAP")]
    random = np.random.default_rng(0)
    cases = {}
    for shape in ((50, 50), (300, 120), (97, 1000)):
        graded = random.choice([0, 0, 0, 0.25, 1 / 3, 0.5, 1], shape)
        graded[random.integers(shape[0], size=3)] = 0  # queries that nothing is relevant to
        scores = random.permutation(graded.size).reshape(shape) / graded.size  # all different
        cases["{} × {}".format(*shape)] = scores, graded
    if upstream.epic is not None:
        listed = upstream.epic / "EPIC_100_retrieval_test_sentence.csv"
        about = relevance.collect(Dataset.EPIC100, upstream.epic / "EPIC_100_retrieval_test.csv", sentences=listed)
        graded = whole(about)
        cases["EPIC-Kitchens-100 test"] = random.permutation(graded.size).reshape(graded.shape) / graded.size, graded
    rows = []
    for name, (scores, graded) in cases.items():
        found = directions.measure(scores, graded)
        for way, s, r in ((directions.VIDEO_TO_TEXT, scores, graded), (directions.TEXT_TO_VIDEO, scores.T, graded.T)):
            what = f"{name}, {way.replace('_', ' ')}"
            own: metrics.Queries = found[way]
            with np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
                rows.append(
                    row(f"nDCG of each query (RANP), {what}", helpers.calculate_nDCG(s, r, reduction=None), own.ndcg)
                )
                rows.append(row(f"mAP (RANP), {what}", helpers.calculate_mAP(s, r), own.challenge_ap.mean()))
                theirs = jpose[0].calculate_nDCG(s, r, reduction=None)
                defined = own.relevant > 0  # JPoSE gives NaN for the others
                rows.append(row(f"nDCG of each query (JPoSE), {what}", theirs[defined], own.ndcg[defined]))
                exact = (r == 1).any(axis=1)
                theirs = jpose[1].calculate_mAP(s[exact], r[exact])
                rows.append(row(f"mAP (JPoSE), {what}", theirs, own.challenge_ap[exact].mean()))
            positives = [np.flatnonzero(one == 1).tolist() for one in r]
            values = directions.summarise({way: own}, resamples=0)[way].values
            ours = [values[key] for key in ("r1", "r5", "r10", "medr", "meanr")]
            rows.append(row(f"recalls and ranks (RANP), {what}", evaluation.eval_q2m(s, positives), ours))
    return rows


def of_network(compare: Callable[[upstream_hgr.Modules], list[Row]]) -> Callable[[Upstream], list[Row]]:
    """A section about RANP's network."""

    def section(upstream: Upstream) -> list[Row]:
        with importable(upstream.ranp):
            return compare(upstream_hgr.modules())

    return section


#: Each gives rows of the table; a difference above its bound is an error.
SECTIONS: dict[str, tuple[Callable[[Upstream], list[Row]], float]] = {
    "relevance": (compare_relevance, EXACT),
    "metrics": (compare_metrics, EXACT),
    "inputs": (of_network(upstream_hgr.compare_inputs), 0.0),
    "scores": (of_network(upstream_hgr.compare_scores), 1e-5),
    "losses": (of_network(upstream_hgr.compare_losses), 1e-6),
}


def main(
    ranp: Annotated[Path, typer.Option(help="checkout of aranciokov/ranp")],
    jpose: Annotated[Path, typer.Option(help="checkout of mwray/Joint-Part-of-Speech-Embeddings")],
    svr: Annotated[Path, typer.Option(help="checkout of mwray/Semantic-Video-Retrieval")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    epic: Annotated[Path | None, typer.Option(help="folder of EPIC_100_retrieval_test*.csv")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="sections, the others stay as they are in --out; by default all")
    ] = None,
) -> None:
    """Print a table of differences and write it; one that is too large is an error."""
    upstream = Upstream(ranp.resolve(), jpose.resolve(), svr.resolve(), epic)
    found, wrong = {}, []
    print("| what | values | largest difference |\n|---|---|---|")
    for name in only or SECTIONS:
        compare, bound = SECTIONS[name]
        found[name] = compare(upstream)
        for one in found[name]:
            print(f"| {one['what']} | {one['values']} | {one['largest difference']:.1e} |", flush=True)
        wrong += [one["what"] for one in found[name] if not one["largest difference"] <= bound]
    machine = {"processor": platform.processor() or platform.machine(), "numpy": np.__version__}
    kept = files.read_json(out) if only and out.exists() else {}
    files.write_json(out, {**kept, "machine": machine, **found}, sort_keys=False)
    if wrong:
        raise SystemExit(f"too far from upstream: {', '.join(wrong)}")


if __name__ == "__main__":
    typer.run(main)
