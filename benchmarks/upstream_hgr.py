"""A checkout of RANP → how far our HGR, losses, gradients and inputs are from its own, with the same weights and batches.

A part of benchmarks/upstream_retrieval.py, at the sizes published for EPIC-Kitchens-100: 64 pairs of 20 frames × 3072, a joint
space of 1024. Upstream runs as it is on a CPU: `.cuda()` and `numpy.bool` are given a meaning from outside.
"""

import contextlib
import importlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch

from pipeline_lib.config.retrieval import RetrievalData, RetrievalModel, RetrievalTraining
from pipeline_lib.retrieval import losses, model, role_graphs, texts
from pipeline_lib.retrieval.annotations import Caption
from pipeline_lib.retrieval.corpus import Video
from pipeline_lib.retrieval.frames import Frames
from pipeline_lib.retrieval.relevance import relevance

Row = dict[str, Any]
PAIRS, FRAMES, FEATURES, VOCABULARY, THRESHOLD = 64, 20, 3072, 2000, 0.15
OPTIONS = RetrievalModel()


class Modules(NamedTuple):
    """Upstream's modules."""

    mlmatch: Any
    criterion: Any
    rolegraphs: Any


def modules() -> Modules:
    """Import them, with the checkout on the path."""
    names = ("models.mlmatch", "models.criterion", "readers.rolegraphs")
    return Modules(*(importlib.import_module(f"t2vretrieval.{name}") for name in names))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """On a CPU, with today's numpy, and without upstream's prints."""
    with (
        mock.patch.object(torch.Tensor, "cuda", lambda self: self),
        mock.patch.object(np, "bool", bool, create=True),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        yield


def row(what: str, theirs: Any, ours: Any) -> Row:
    """A line of the table."""
    theirs, ours = (np.asarray(torch.as_tensor(values).detach(), np.float64) for values in (theirs, ours))
    assert theirs.shape == ours.shape, (what, theirs.shape, ours.shape)
    return {"what": what, "values": theirs.size, "largest difference": float(np.abs(theirs - ours).max())}


def sentences(random: np.random.Generator, count: int) -> dict[str, list[Any]]:
    """Random captions with role graphs in upstream's form: cut words, crowded graphs, unknown roles among them."""
    roles = [*role_graphs.ROLES[1:], "C-ARG1", "R-ARGM-LOC", "ARGM-GOL"]
    found = {}
    while len(found) < count:
        words = [f"w{i}" for i in random.integers(0, VOCABULARY + 50, random.integers(1, 36))]
        nodes = {"ROOT": {"role": "ROOT", "spans": list(range(len(words))), "words": words}}
        verbs, others = random.integers(0, 6), random.integers(0, 9)
        for i in range(verbs + others):
            start = int(random.integers(0, len(words)))
            span = [start] if i < verbs else list(range(start, min(len(words), start + int(random.integers(1, 6)))))
            nodes[str(i + 1)] = {"role": "V" if i < verbs else str(random.choice(roles)), "spans": span}
        edges = [[str(random.integers(1, verbs + 1)), str(verbs + 1 + i), ""] for i in range(others) if verbs]
        found[" ".join(words)] = [nodes, edges]
    return found


def network(up: Modules) -> tuple[Any, model.HGR]:
    """Theirs, with random weights, and ours with the same out of a checkpoint that theirs wrote."""
    config = up.mlmatch.RoleGraphMatchModelConfig()
    config.margin_pos, config.loss_weights = 0.2, None
    video, text = config.subcfgs["video_encoder"], config.subcfgs["text_encoder"]
    video.dim_fts, video.dim_embed, text.num_words, text.gcn_attention = [FEATURES], OPTIONS.dimension, VOCABULARY, True
    torch.manual_seed(0)
    with quiet(), tempfile.TemporaryDirectory() as folder:
        theirs = up.mlmatch.HPRoleGraphMatchModel(config)
        theirs.logger = mock.Mock()
        theirs.save_checkpoint(f"{folder}/epoch.0.th")
        ours = model.load(model.HGR(FEATURES, VOCABULARY, OPTIONS), Path(folder, "epoch.0.th"))
    theirs.eval_start()
    return theirs, ours.eval()


def batch(random: np.random.Generator, up: Modules) -> tuple[dict[str, Any], texts.Encoded, dict[str, Any]]:
    """Upstream's batch, made by its own reader, the captions in our arrays, and the captions' graphs."""
    drawn = sentences(random, PAIRS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graphs.json")
        path.write_text(json.dumps(drawn))
        graphs = role_graphs.read(path)
    known = {"<BOS>": 0, "<EOS>": 1, "<UNK>": 2} | {f"w{i}": i + 3 for i in range(VOCABULARY - 3)}
    reader = up.rolegraphs.RoleGraphDataset.__new__(up.rolegraphs.RoleGraphDataset)
    reader.num_verbs, reader.num_nouns, reader.max_words_in_sent, reader.word2int = 4, 6, 30, known
    reader.role2int = {f"{mark}{role}": i for i, role in enumerate(up.rolegraphs.ROLES) for mark in ("", "C-", "R-")}
    items = []
    with quiet():
        for text, graph in drawn.items():
            count = int(random.integers(1, 2 * FRAMES))
            frames = random.normal(size=(count, FEATURES)).astype(np.float32)
            kept, length = reader.pad_or_trim_feature(frames, FRAMES, trim_type="select")
            out = reader.get_caption_outs({}, text, graph)
            items.append(out | {"names": text, "attn_fts": kept, "attn_lens": length, "whole": frames})
        found = up.rolegraphs.collate_graph_fn(items)
    found["whole"] = [one["whole"] for one in items]
    return found, texts.encode(list(drawn), graphs, known, RetrievalData()), drawn


def compare_inputs(up: Modules) -> list[Row]:
    """Words, spans, roles, edges and frames of a batch."""
    theirs, encoded, _ = batch(np.random.default_rng(0), up)
    ours = encoded.take(np.arange(PAIRS))
    edges = ours.edges / ours.edges.sum(2, keepdim=True).clamp(min=1)
    pairs = {
        "word ids": (theirs["sent_ids"], ours.ids),
        "lengths": (theirs["sent_lens"], ours.lengths),
        "spans of verbs": (theirs["verb_masks"], ours.verbs),
        "spans of nouns": (theirs["noun_masks"], ours.nouns),
        "roles": (theirs["node_roles"], ours.roles),
        "edges": (theirs["rel_edges"], edges),
    }
    rows = [row(f"{name} (RANP's reader)", np.asarray(a, np.float64), b.double()) for name, (a, b) in pairs.items()]
    with tempfile.TemporaryDirectory() as folder:
        differences = []
        for i, frames in enumerate(theirs["whole"]):
            np.save(f"{folder}/one.npy", frames[None])
            with Frames([Path(folder, "one.npy")], RetrievalData(), ["one"]) as opened:
                kept = opened[Video("one", "one", (), ())]
            differences.append(np.abs(theirs["attn_fts"][i][: len(kept)] - kept).max())
            assert len(kept) == theirs["attn_lens"][i]
    return [*rows, row("frames (RANP's reader)", np.zeros(PAIRS), np.array(differences))]


def compare_scores(up: Modules) -> list[Row]:
    """Similarities of all videos and captions of a batch, on all levels, for both ways of fusion."""
    theirs, ours = network(up)
    inputs, encoded, _ = batch(np.random.default_rng(1), up)
    clips = torch.from_numpy(np.asarray(inputs["attn_fts"])), torch.tensor(inputs["attn_lens"])
    rows = []
    for fusion in ("embed", "sim"):
        theirs.config.attn_fusion, ours.options = fusion, OPTIONS.model_copy(update={"fusion": fusion})
        with torch.no_grad(), quiet():
            embedded = theirs.forward_video_embed(inputs) | theirs.forward_text_embed(inputs)
            expected = theirs.generate_scores(**embedded)
            found = ours(*clips, encoded.take(np.arange(PAIRS)))
        for name, a, b in zip(("sentence", "verb", "noun"), expected, found, strict=True):
            rows.append(row(f"{name} similarities, fusion {fusion} (RANP)", a, b))
        rows.append(row(f"fused similarities, fusion {fusion} (RANP)", sum(expected) / 3, found.fused))
    return rows


def compare_losses(up: Modules) -> list[Row]:
    """Every loss on random similarities in float64; RANP's also through the whole network, with the gradients."""
    random = np.random.default_rng(2)
    rows: dict[str, list[tuple[Any, Any]]] = {}
    with quiet():
        for _ in range(20):
            scores = torch.from_numpy(random.uniform(-1, 1, (PAIRS, PAIRS)))
            graded = torch.from_numpy(random.choice([0, 0, 0.25, 0.5, 1], (PAIRS, PAIRS))).fill_diagonal_(1)
            for name, pair in _losses(up.criterion, scores, graded):
                rows.setdefault(name, []).append(pair)
    found = [row(name, *(torch.stack([pair[i] for pair in pairs]) for i in (0, 1))) for name, pairs in rows.items()]
    return found + _gradients(up)


def _losses(criterion: Any, scores: torch.Tensor, graded: torch.Tensor) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """(name, (theirs, ours)) of every loss; each query has a positive, so that all are well defined."""

    def ours(loss: str, **options: Any) -> dict[str, torch.Tensor]:
        return losses.level(scores, graded, RetrievalTraining(loss=loss, threshold=0.4, **options))

    relevant = {"batch_relevance": graded, "threshold_pos": 0.4}
    for hardest in (True, False):
        for semi in (False, True):
            how = f"{'hardest' if hardest else 'mean'}{', semi-hard' if semi else ''}"
            options = {"max_violation": hardest, "semi_hard": semi}
            for count in (1, 5):
                plain = criterion.ContrastiveLoss(0.2, hardest, "bi", count, semi)
                title = f"{how}, top {count}" if hardest else how
                yield (
                    f"contrastive, {title} (RANP)",
                    (plain(scores), ours("contrastive", hard_topk=count, **options)["loss"]),
                )
                pair = plain(scores, **relevant), ours("ran", hard_topk=count, **options)["loss"]
                yield f"RAN, {title} (RANP)", pair
            mined = criterion.ContrastiveLossHP(0.2, 0.2, hardest, "bi", 1, semi)(scores, **relevant)
            yield f"RANP, {how} (RANP)", (sum(mined), ours("ranp", **options)["loss"])
            yield f"hard positives alone, {how} (RANP)", (mined[1], ours("hard_positives", **options)["loss"])
    yield "normalised softmax (RANP)", (criterion.NormSoftmaxLoss()(scores), ours("norm_softmax")["loss"])
    same = (graded + graded.T) / 2
    theirs = criterion.NormSoftmaxRANPLoss()(scores, same, 0.4)
    found = losses.level(scores, same, RetrievalTraining(loss="norm_softmax_ranp", threshold=0.4))["loss"]
    yield "normalised softmax with RANP, symmetric relevance (RANP)", (theirs, found)


def _gradients(up: Modules) -> list[Row]:
    """RANP through the network, dropout off: the loss and, relative to the largest, all gradients."""
    theirs, ours = network(up)
    random = np.random.default_rng(3)
    inputs, encoded, _ = batch(random, up)
    captions = [
        Caption(str(i), str(i), "", (int(random.integers(0, 4)),), (int(random.integers(0, 5)),)) for i in range(PAIRS)
    ]
    graded = relevance(captions, captions)
    inputs |= {"verb_class": [c.verbs[0] for c in captions], "noun_classes": [list(c.nouns) for c in captions]}
    inputs["threshold_pos"] = THRESHOLD
    torch.set_grad_enabled(True)
    with quiet():
        expected = theirs.forward_loss(inputs)
        expected.backward()
    clips = torch.from_numpy(np.asarray(inputs["attn_fts"])), torch.tensor(inputs["attn_lens"])
    options = RetrievalTraining(loss="ranp", threshold=THRESHOLD)
    by_level = dict.fromkeys(("both", "verbs", "nouns"), torch.from_numpy(graded).float())
    found = losses.terms(ours(*clips, encoded.take(np.arange(PAIRS))), by_level, options)["loss"]
    found.backward()
    gradients = {f"{part}.{name}": p.grad for part, net in theirs.submods.items() for name, p in net.named_parameters()}
    largest = max(float(one.abs().max()) for one in gradients.values())
    flat = [torch.cat([one.flatten() for one in some]) / largest for some in _aligned(gradients, ours)]
    return [
        row("RANP's loss through the network (RANP)", expected, found),
        row("its gradients, of the largest (RANP)", *flat),
    ]


def _aligned(gradients: dict[str, torch.Tensor], ours: model.HGR) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    own = dict(ours.named_parameters())
    assert own.keys() == gradients.keys()
    return [gradients[name] for name in own], [p.grad for p in own.values() if p.grad is not None]
