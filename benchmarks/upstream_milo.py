"""Checkouts of brian7685/Video-M2E2 and antoine77340/howto100m → how far our MILO is from them on equal weights and data.

python benchmarks/upstream_milo.py --upstream ../Video-M2E2 --howto100m ../howto100m --out benchmarks/results/upstream_milo.json

Network, losses and gradients on random inputs; loaders on a small data set in the original's shapes, with the same random
choices; and the public training script, whole: its loss at every step, and its sweep of thresholds. What is changed while
upstream runs: milo_original.py.
"""

import contextlib
import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated, Any

import milo_original
import numpy as np
import torch
import typer
from gensim.models import KeyedVectors
from milo_original import WIDTH, WORDS, Choices, converted, data_set, module
from original import exported, opened
from torch import Tensor

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import files
from pipeline_lib.coref import evaluation_items, losses, metrics, scoring, training_items
from pipeline_lib.coref.inputs import Inputs, Moments
from pipeline_lib.coref.model import Dimensions, Net

PAIRS, OBJECTS = 36, 5  # as published
BOUND, EXACT = 1e-6, 1e-12
PLAIN = Moments.identity(2 * WIDTH, WIDTH)

Row = dict[str, str | float]


def row(what: str, theirs: Tensor, ours: Tensor, dtype: str = "float32") -> Row:
    """A line of the table."""
    assert theirs.shape == ours.shape, (what, theirs.shape, ours.shape)
    difference = (theirs.double() - ours.double()).abs().max().item()
    return {"what": what, "type": dtype, "largest value": theirs.abs().max().item(), "largest difference": difference}


def bound(one: Row) -> float:
    """The largest difference that rounding explains."""
    return (EXACT if one["type"] == "float64" else BOUND) * max(1.0, float(one["largest value"]))


def networks(dimension: int, seed: int, normalise: str = "candidate_axis") -> tuple[Any, Net]:
    """Upstream's network and ours with the same random weights."""
    torch.manual_seed(seed)
    theirs = module("milo_model").Net(embd_dim=dimension, video_dim=2 * WIDTH, we_dim=WORDS, obj_feat_dim=WIDTH)
    ours = Net(Dimensions(2 * WIDTH, WORDS, WIDTH), dimension, normalise)  # type: ignore[arg-type]
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def inputs_of(seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Clips, words and objects of 36 pairs; of some sentences most words are padding."""
    source = torch.Generator().manual_seed(seed)
    video = torch.nn.functional.normalize(torch.randn(PAIRS, 2, WIDTH, generator=source), dim=2).flatten(1)
    words = torch.randn(PAIRS, 30, WORDS, generator=source)
    words[::2, 4:] = 0
    objects = torch.randn(PAIRS, OBJECTS, WIDTH, generator=source)
    return video.to(dtype), words.to(dtype), objects.to(dtype)


def compare_networks(seed: int) -> list[Row]:
    """Embeddings at the published size and, smaller, in float64."""
    rows = []
    for dimension, dtype in ((6144, torch.float32), (512, torch.float64)):
        theirs, ours = (net.to(dtype).eval() for net in networks(dimension, seed))
        given = inputs_of(seed, dtype)
        kind = str(dtype).removeprefix("torch.")
        with torch.inference_mode():
            for name, a, b in zip(("clips", "sentences", "objects"), theirs(*given), ours(*given), strict=True):
                rows.append(row(f"{name}, {dimension}", a, b, kind))
            mended = Net(Dimensions(2 * WIDTH, WORDS, WIDTH), dimension, "embedding").to(dtype)
            mended.load_state_dict(theirs.state_dict())
            flat = theirs.GU_obj(given[2].flatten(0, 1)).view(PAIRS, OBJECTS, -1)  # two axes: over the embedding
            rows.append(row(f"objects by `embedding`, {dimension}", flat, mended.GU_obj(given[2]), kind))
    return rows


def compare_losses(seed: int) -> list[Row]:
    """Both terms, both published sums, and all gradients of these."""
    theirs_of, ours_of = module("loss").MaxMarginRankingLoss, Coref().training
    nce = module("mil_loss_b").MILNCELoss()
    arguments = {"margin": 0.1, "negative_weighting": 0, "batch_size": 1, "n_pair": PAIRS, "hard_negative_rate": 0.5}
    public = module("mil_loss_b").MILOLoss(type("Arguments", (), arguments))
    rows = []
    for dtype in (torch.float32, torch.float64):
        kind = str(dtype).removeprefix("torch.")
        nets = [net.to(dtype) for net in networks(512, seed)]
        video, text, objects = (part.detach() for part in nets[0](*inputs_of(seed, dtype)))
        flat = objects.reshape(-1, 512)
        rows.append(row("MIL-NCE, 5 candidates", nce(text, flat), losses.mil_nce(text, objects), kind))
        rows.append(row("MIL-NCE, clips", nce(video, text), losses.mil_nce(video, text[:, None]), kind))
        similarity = text @ video.T
        plain = theirs_of(**arguments)
        rows.append(row("max margin", plain(similarity), losses.max_margin(similarity, 0.1), kind))
        for rate in (0.5, 0.2):  # 36 pairs of 3 videos
            weighted = theirs_of(0.1, 1, 3, n_pair=PAIRS // 3, hard_negative_rate=rate)
            weighted.mm_mask = weighted.mm_mask.to(dtype)
            of_video = torch.arange(3).repeat_interleave(PAIRS // 3)
            ours = losses.max_margin(similarity, 0.1, losses.negative_weights(of_video, rate).to(dtype))
            rows.append(row(f"max margin, rate {rate}", weighted(similarity), ours, kind))
        sums = {
            "nce_video_text+nce_text_object": public,
            "mmr_text_video+nce_text_object": lambda v, t, o, plain=plain: plain(t @ v.T) + nce(t, o.flatten(0, 1)),
        }
        for name, loss in sums.items():
            options = ours_of.model_copy(update={"loss": name})
            given, of_video = inputs_of(seed + 1, dtype), torch.zeros(PAIRS, dtype=torch.long)
            for net in nets:
                net.zero_grad()
            a = loss(*nets[0](*given))
            b = losses.terms(*nets[1](*given), of_video, options)["loss"]
            a.backward()
            b.backward()
            rows.append(row(name, a.detach(), b.detach(), kind))
            ours_by_name = dict(nets[1].named_parameters())
            grads = [
                (p.grad.flatten(), ours_by_name[key].grad.flatten())
                for key, p in nets[0].named_parameters()
                if p.grad is not None
            ]
            rows.append(row(f"gradients of {name}", *(torch.cat(part) for part in zip(*grads, strict=True)), kind))
    return rows


def compare_loaders(paths: dict[str, Path], clips: Inputs, videos: Inputs, options: Coref, seed: int) -> list[Row]:
    """Items of upstream's three loaders and ours; float32 values of up to 5."""
    loaders, words = module("m2e2_dataloader"), KeyedVectors.load_word2vec_format(str(paths["words"]), binary=True)
    rows, choices = [], Choices()
    training = loaders.M2E2MILOVidSegDiscriminatorWithMultipleSamplingDataLoader(
        str(paths["train"]), words, n_pair=options.data.n_pair, vid_feat_dir="train_feats", look_window=2
    )
    np.random.seed(seed)  # noqa: NPY002 (it is what upstream draws from)
    parts: dict[str, list[tuple[Tensor, np.ndarray]]] = {}
    for index in list(range(len(training))) * 5:
        with choices.recording():
            item = training[index]
        ours = training_items.draw(clips, item["video_id"], PLAIN, choices)  # type: ignore[arg-type]
        for name, key, mine in zip(("clips", "words", "objects"), ("video", "text", "obj"), ours, strict=True):
            parts.setdefault(f"training {name}", []).append((item[key], mine))
    for kind, protocol, inputs, folder in (
        ("WithArticle", "without_proposals", clips, "clip_feats"),
        ("WithArticleAndProposals", "with_proposals", videos, "video_feats"),
    ):
        path = paths["val" if protocol == "without_proposals" else "proposals"]
        loader = getattr(loaders, f"M2E2MILOManualLabels{kind}DataLoader")(str(path), folder, words)
        items, _ = evaluation_items.items(inputs, "val", protocol, PLAIN, options.evaluation)
        by_id = {item.video_id: item for item in items}
        for index in range(len(loader)):
            theirs, mine = loader[index], by_id[list(loader.videoID2obj_feature)[index]]
            single = protocol == "without_proposals"
            pairs = {
                "clips": (theirs["video"][None] if single else theirs["video"], mine.clips),
                "words": (torch.stack(theirs["text"]), mine.words),
                "objects": (theirs["obj"][None] if single else theirs["obj"], mine.objects),
            }
            if single:
                pairs["labels"] = (torch.tensor([theirs["is_event_coreferences"]]), mine.labels.astype("i8"))
            else:
                pairs["proposals"] = (torch.tensor(theirs["proposals"]), mine.intervals)
            for name, pair in pairs.items():
                parts.setdefault(f"{protocol.replace('_', ' ')}: {name}", []).append(pair)
    for name, compared in parts.items():
        theirs, ours = (torch.cat([torch.as_tensor(one[i]).flatten() for one in compared]) for i in (0, 1))
        rows.append(row(f"loader, {name}", theirs, ours))
    return rows


def compare_written(paths: dict[str, Path], clips: Path, videos: Path, n_pair: int, seed: int) -> list[Row]:
    """Items of upstream's loaders on its own files, and on those that `coref.to_upstream` made of our copy."""
    here, again = Path(), [exported(folder, folder.parent / f"written_{folder.name}") for folder in (clips, videos)]
    before = [
        paths["train"],
        here / "train_feats",
        paths["val"],
        here / "clip_feats",
        paths["proposals"],
        here / "video_feats",
    ]
    after = [again[0] / name for name in ("train.json", "video_feats", "val_no_proposals.json", "clip_feats")]
    after += [again[1] / name for name in ("val_with_proposals.json", "video_feats")]
    before, after = (milo_original.loaded(paths["words"], n_pair, seed, *given) for given in (before, after))
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for one, other in zip(before, after, strict=True):
        assert one["video_id"] == other["video_id"] and one.get("obj_names") == other.get("obj_names")
        assert one.get("is_event_coreferences") == other.get("is_event_coreferences")
        for name, key in (("clips", "video"), ("words", "text"), ("objects", "obj")):
            pair = (torch.stack(item[key]) if isinstance(item[key], list) else item[key] for item in (one, other))
            parts.setdefault(name, []).append(tuple(part.flatten() for part in pair))
    return [
        row(f"written and read by its loaders: {name}", *(torch.cat(part) for part in zip(*pairs, strict=True)))
        for name, pairs in parts.items()
    ]


def compare_script(m2e2: Path, folder: Path, paths: dict[str, Path], inputs: Inputs, options: Coref) -> list[Row]:
    """Epochs of upstream's script against the same steps here, and its sweeps against our scores and metrics."""
    theirs, ours = networks(64, options.training.seed)
    torch.save(theirs.state_dict(), folder / "weights.pth")
    choices, epochs = Choices(), 4
    arguments = {
        "m2e2": 1, "eval_m2e2": 1, "num_thread_reader": 0, "batch_size": 1, "epochs": epochs, "lr_decay": 1.0,
        "embd_dim": 64, "pretrain_path": "weights.pth", "videoID2obj_feature_path": paths["train"],
        "video_clip_feature_dir": "clip_feats", "m2e2_manual_labels_obj_features_json_val": paths["val"],
        "m2e2_manual_labels_obj_features_json_test": paths["test"], "checkpoint_dir": "checkpoints",
        "word2vec_path": paths["words"], "train_np_vid_feat_dir": "train_feats", "n_pair": options.data.n_pair,
        "negative_weighting": 0, "max_words": 30, "look_window": 2, "num_candidates": 5, "num_candidates_eval": 5,
        "lr": options.training.learning_rate, "verbose": 0,
    }  # fmt: skip
    run = milo_original.run_script(m2e2, arguments, choices)
    optimiser = torch.optim.Adam(ours.parameters(), lr=options.training.learning_rate)
    found, steps = [], len(choices.videos) // epochs
    sweeps: dict[str, list[tuple[float, float]]] = {}
    similarities = []
    for epoch in range(epochs):
        for place, split in enumerate(("val", "test")):
            items, _ = evaluation_items.items(inputs, split, "without_proposals", PLAIN, options.evaluation)
            scores = scoring.score(ours, items, options.evaluation, torch.device("cpu"))
            for (threshold, kind), values in run.sweeps[2 * epoch + place].items():
                pairs = metrics.flatten(
                    [s.by_kind[kind] for s in scores], [s.labels for s in scores], [0] * len(scores)
                )
                measured = metrics.measure(pairs, threshold)
                for name, value in values.items():
                    sweeps.setdefault(f"script, {split}: {name}", []).append((value, measured[name]))
            if epoch == 0:
                for item, score in zip(items, scores, strict=True):
                    given = (torch.from_numpy(part) for part in (item.clips, item.objects, item.words))
                    video, objects, text = theirs.GU_video(next(given)), theirs.GU_obj(next(given)), next(given)
                    text = torch.stack([theirs.GU_text(theirs.text_pooling(one[None])) for one in text])
                    reference = run.names["get_sim_matrices2"](video, text.detach(), objects.detach())
                    for kind, values in zip(("combined", "global", "regional"), reference, strict=True):
                        similarities.append((torch.from_numpy(values).flatten(), score.by_kind[kind].ravel()))
        ours.train()
        for video_id in choices.videos[epoch * steps : (epoch + 1) * steps]:
            batch = training_items.draw(inputs, video_id, PLAIN, choices)  # type: ignore[arg-type]
            embedded = ours(*(torch.from_numpy(part) for part in batch))
            loss = losses.terms(*embedded, torch.zeros(len(batch.clips), dtype=torch.long), options.training)["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            found.append(loss.item())
    assert not choices.made, "upstream drew more than we did"
    rows = [row(f"script, losses of {len(found)} steps", torch.tensor(run.losses), torch.tensor(found))]
    flat = (torch.cat([torch.as_tensor(one[i]) for one in similarities]) for i in (0, 1))
    rows.append(row("script, similarities", *flat))
    return rows + [
        row(name, *torch.tensor(values, dtype=torch.float64).T, "printed") for name, values in sweeps.items()
    ]


def main(
    upstream: Annotated[Path, typer.Option(help="checkout of brian7685/Video-M2E2")],
    howto100m: Annotated[Path, typer.Option(help="checkout of antoine77340/howto100m")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print a table of the largest differences, write it, and fail when one is beyond rounding."""
    options = Coref.model_validate(
        {
            "data": {"n_pair": 10, "look_window": 2},
            "model": {"normalise": "candidate_axis"},
            "training": {"loss": "nce_video_text+nce_text_object", "learning_rate": 0.001},
        }
    )
    out = out.absolute()
    checkouts = upstream.absolute(), howto100m.absolute()
    with milo_original.importable(*checkouts), tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        rows = compare_networks(seed) + compare_losses(seed)
        original, paths = data_set(Path(name), seed)
        clips = converted(original, "clips", paths, **{split: paths[split] for split in ("train", "val", "test")})
        videos = converted(original, "videos", paths, val=paths["proposals"], eval_features=Path("video_feats"))
        with opened(clips, options) as with_clips, opened(videos, options) as with_videos:
            rows += compare_loaders(paths, with_clips, with_videos, options, seed)
            rows += compare_written(paths, clips, videos, options.data.n_pair, seed)
            rows += compare_script(checkouts[0], Path(name), paths, with_clips, options)
    print("| what | type | largest value | largest difference |\n|---|---|---|---|")
    for one in rows:
        print(f"| {one['what']} | {one['type']} | {one['largest value']:.3g} | {one['largest difference']:.1e} |")
    beyond = [one for one in rows if float(one["largest difference"]) > bound(one)]
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__}
    bounds = {"float32": BOUND, "float64": EXACT}
    files.write_json(out, {"machine": machine, "seed": seed, "bounds": bounds, "rows": rows})
    if beyond:
        print("beyond rounding:", *(one["what"] for one in beyond), sep="\n  ")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
