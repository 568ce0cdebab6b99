"""A checkout of lntzm/MESM → how far our network, loss and gradients are from its, with the same weights and batch.

python benchmarks/upstream_mesm.py --mesm ../MESM --out benchmarks/results/upstream_mesm.json

Its modules run as they are, built by its runner.py from its own configuration files; only what it would draw at random
(masked words, sentences of other videos) is given to both. Dropout is 0, so that training mode can be compared, too.
Outputs and terms are compared in float32. Gradients are in float64: where a rectifier is within a rounding error of 0, the
sides take different slopes, and one entry of a weight differs by 1e-4 of the largest in float32.
"""

import platform
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from mesm_original import Original
from moments_batches import Sizes, generate
from torch import Tensor

from pipeline_lib.core import files
from pipeline_lib.moments import losses
from pipeline_lib.moments.batch import Batch
from pipeline_lib.moments.model import Net
from pipeline_lib.moments.outputs import Outputs

BOUND = 1e-5
#: Upstream's file, and a batch of such sizes.
CONFIGURATIONS = {
    "Charades-STA, CLIP + SlowFast": ("charades/C+SF_C.json", Sizes(6, (1, 4), (12, 50), (4, 16), 2818, 512, 1114)),
    "Charades-STA, VGG, GloVe": ("charades/VGG_GloVe.json", Sizes(4, (1, 4), (40, 100), (1, 16), 4098, 300, 1112)),
    "TACoS, C3D, GloVe (two feed-forwards)": ("TACoS/C3D_GloVe.json", Sizes(3, (3, 7), (60, 100), (4, 16), 4098, 300, 1112)),
    "QVHighlights, CLIP + SlowFast": (
        "QVHighlights/C+SF_C.json",
        Sizes(6, (1, 4), (30, 50), (5, 32), 2818, 512, 5003, pieces=True, moments=(1, 5)),
    ),
}  # fmt: skip


class Sides(NamedTuple):
    """The same weights, batch and step of both."""

    upstream: Original
    net: Net
    outputs: tuple[dict[str, Any], Outputs]
    terms: tuple[dict[str, Tensor], dict[str, Tensor]]


def step(checkout: Path, name: str, training: bool, batch: Batch) -> Sides:
    """Forward, loss and backward, in the batch's precision."""
    config, sizes = CONFIGURATIONS[name]
    torch.manual_seed(0)
    upstream = Original(checkout, config, sizes.classes)
    own_options, loss_options = upstream.options()
    net = Net(own_options, sizes.video_dim, sizes.word_dim, sizes.classes)
    with torch.no_grad():
        for parameter in upstream.net.parameters():  # biases, learned tokens and norms differ from their start, too
            parameter += 0.02 * torch.randn_like(parameter)
    net.load_state_dict(upstream.net.state_dict(), strict=True)
    dtype = batch.video.dtype
    if dtype == torch.float64:  # its sines are float32 whatever the default
        upstream.net.vid_position_embed.register_forward_hook(lambda *call: call[2].double())  # type: ignore[operator, union-attr]
    upstream.net.to(dtype).train(training)
    upstream.criterion.to(dtype)
    net.to(dtype).train(training)
    theirs = upstream.forward(batch)
    their_terms = upstream.losses(theirs, batch)
    their_terms["loss"].backward()
    ours = net(batch)
    our_terms = losses.terms(ours, batch, loss_options)
    our_terms["loss"].backward()
    assert set(their_terms) == set(our_terms), set(their_terms) ^ set(our_terms)
    return Sides(upstream, net, (theirs, ours), (their_terms, our_terms))


def doubled(batch: Batch) -> Batch:
    """In float64."""

    def double(values: Any) -> Any:
        return type(values)(*(x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in values))

    return double(batch)._replace(targets=double(batch.targets))


def compare(checkout: Path, name: str, training: bool) -> dict[str, Any]:
    """Largest differences of one configuration."""
    batch = generate(CONFIGURATIONS[name][1], seed=1)
    torch.set_default_dtype(torch.float64)
    upstream, net, *_ = step(checkout, name, training, doubled(batch))
    torch.set_default_dtype(torch.float32)
    gradients, worst = gradient_difference(upstream.net, net)
    upstream, net, (theirs, ours), (their_terms, our_terms) = step(checkout, name, training, batch)
    return {
        "configuration": name,
        "mode": "training" if training else "evaluation",
        "queries": len(batch.of_video),
        "rows": batch.video.shape[1],
        "outputs": {what: difference(*pair) for what, pair in outputs(theirs, ours, batch).items()},
        "terms": {
            what: {
                "theirs": float(value.detach()),
                "ours": float(our_terms[what].detach()),
                "difference": difference(value, our_terms[what]),
            }
            for what, value in their_terms.items()
        },
        "gradients": gradients,
        "gradients_worst": worst,
        "mended": mended(net, ours, batch),
    }


@torch.no_grad()
def mended(net: Net, published: Outputs, batch: Batch) -> dict[str, float]:
    """By how much outputs change if words are hidden by their own padding alone."""
    net.options = net.options.model_copy(update={"head_masks": "mended"})
    found, mask = net(batch), batch.video_mask[batch.of_video]
    pairs = {
        "spans": (published.spans[-1], found.spans[-1]),
        "probability": (published.logits[-1].softmax(-1), found.logits[-1].softmax(-1)),
        "saliency": (published.saliency[mask], found.saliency[mask]),
    }
    return {name: float((one - other).abs().max()) for name, (one, other) in pairs.items()}


def outputs(theirs: dict[str, Any], ours: Outputs, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs to compare; saliency where there are rows."""
    mask, words_mask = batch.video_mask[batch.of_video], batch.words_mask
    found = ours.reconstruction
    assert found is not None and found.logits is not None
    earlier = theirs["aux_outputs"][0]
    return {
        "logits": (theirs["pred_logits"], ours.logits[-1]),
        "spans": (theirs["pred_spans"], ours.spans[-1]),
        "logits of layer 0": (earlier["pred_logits"], ours.logits[0]),
        "spans of layer 0": (earlier["pred_spans"], ours.spans[0]),
        "saliency": (theirs["saliency_scores"][mask], ours.saliency[mask]),
        "saliency, other sentence": (theirs["neg_saliency_scores"][mask], found.other_saliency[mask]),
        "reconstructed sentences": (theirs["recon_feat"], found.words[:, 0]),
        "reconstructed words": (theirs["recfw_words_logit"][words_mask], found.logits[words_mask]),
    }


def difference(theirs: Tensor, ours: Tensor) -> float:
    """Largest difference, as a share of the largest value where that is above 1."""
    theirs, ours = theirs.detach(), ours.detach()
    assert theirs.shape == ours.shape, (theirs.shape, ours.shape)
    return float((theirs - ours).abs().max() / theirs.abs().max().clamp(min=1))


def gradient_difference(theirs: torch.nn.Module, ours: Net) -> tuple[float, str]:
    """Largest difference of a gradient, as a share of the parameter's largest (or of 1), and of which parameter."""
    own = dict(ours.named_parameters())
    found = {}
    for name, parameter in theirs.named_parameters():
        assert (parameter.grad is None) == (own[name].grad is None), name
        if parameter.grad is not None:
            found[name] = difference(parameter.grad, own[name].grad)  # type: ignore[arg-type]
    worst = max(found, key=lambda name: found[name])
    return found[worst], worst


def main(
    mesm: Annotated[Path, typer.Option(help="checkout of lntzm/MESM")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    threads: Annotated[int, typer.Option(help="of the CPU")] = 2,
) -> None:
    """Print a table of differences and write it; one above 1e-5 is an error."""
    torch.set_num_threads(threads)
    rows = []
    print("| configuration | mode | outputs | terms | gradients |\n|---|---|---|---|---|")
    for name in CONFIGURATIONS:
        for training in (False, True):
            row = compare(mesm.resolve(), name, training)
            row["largest"] = {
                "outputs": max(row["outputs"].values()),
                "terms": max(one["difference"] for one in row["terms"].values()),
                "gradients": row["gradients"],
            }
            rows.append(row)
            largest = " | ".join(f"{value:.1e}" for value in row["largest"].values())
            print(f"| {name} | {row['mode']} | {largest} |", flush=True)
    machine = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
    files.write_json(out, {"machine": machine, "rows": rows}, sort_keys=False)
    wrong = [row for row in rows if not max(row["largest"].values()) <= BOUND]
    if wrong:
        raise SystemExit(f"too far from upstream: {', '.join(row['configuration'] for row in wrong)}")


if __name__ == "__main__":
    typer.run(main)
