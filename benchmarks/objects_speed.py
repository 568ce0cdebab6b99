"""Films or pictures → how much faster the rearranged detector is than detectron2's one-image loop, at equal features.

python benchmarks/objects_speed.py --frames bbb.mp4 --frames vtest.avi … --out benchmarks/results/objects_speed.json

Both take a frame to its proposals, with the same random weights (1600 classes), the same preprocessing and as many threads, in
turns. Seconds of the processor are given too: other work on the machine doesn't show in them. Needs detectron2.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from upstream_detectron2 import frame

from pipeline_lib.core import files
from pipeline_lib.features.nets import untrained_faster_rcnn_d2
from pipeline_lib.features.nets.detector_fast import optimise
from pipeline_lib.features.nets.detectron2_backend import Detectron2
from pipeline_lib.features.nets.faster_rcnn_d2 import preprocess
from pipeline_lib.features.nets.regions import Proposals

PIXELS, SHARE, FASTER = 1e-2, 1e-4, 2.0  # bounds: same proposal, equal feature (of the largest), claimed ratio


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """A call's result, the seconds by the clock and those of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - clock, time.process_time() - processor


def difference(theirs: Proposals, ours: Proposals) -> tuple[int, float]:
    """How many of their proposals are ours too, and the largest difference of a feature of those, as a share.

    Proposals of nearly equal objectness may be suppressed in another order, so they are matched by their places.
    """
    distances: Tensor = (theirs.rois[:, None] - ours.rois[None]).abs().amax(dim=2)
    nearest, index = distances.min(dim=1)
    same = nearest <= PIXELS
    found = (theirs.features[same] - ours.features[index[same]]).abs().max() / theirs.features.abs().max()
    return int(same.sum()), found.item()


def main(
    frames: Annotated[list[Path], typer.Option(help="films or pictures")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    second: Annotated[float, typer.Option(help="which frame of a film")] = 3.0,
    rounds: Annotated[int, typer.Option(help="turns per frame")] = 3,
    threads: Annotated[int, typer.Option()] = 2,
    proposals: Annotated[int, typer.Option(help="regions per frame")] = 1000,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print and write the medians and their ratio; fail when it is below the claim or features differ."""
    torch.set_num_threads(threads)
    net = untrained_faster_rcnn_d2.untrained(seed)
    net.post_nms = proposals
    theirs = Detectron2(post_nms=proposals)
    theirs.load_state_dict(net.state_dict(), strict=True)
    theirs.eval()
    networks = {"detectron2": theirs, "ours": optimise(net)}
    pictures = [frame(path, second) for path in frames]
    clock: dict[str, list[float]] = {name: [] for name in networks}
    processor: dict[str, list[float]] = {name: [] for name in networks}
    matched, differences = 0, [0.0]
    with torch.inference_mode():
        for number in range(-1, rounds):  # the first turn warms up, on one frame
            for picture in pictures if number >= 0 else pictures[:1]:
                results = {}
                for name, network in networks.items():

                    def run(network: torch.nn.Module = network, picture: Any = picture) -> Proposals:
                        image, _ = preprocess(picture)
                        found: Proposals = network(image[None], torch.tensor([image.shape[1:]]))[0]
                        return found

                    results[name], seconds, busy = timed(run)
                    if number >= 0:
                        clock[name].append(seconds)
                        processor[name].append(busy)
                if number == 0:
                    count, share = difference(results["detectron2"], results["ours"])
                    matched += count
                    differences.append(share)
    medians = {name: statistics.median(values) for name, values in clock.items()}
    busy_medians = {name: statistics.median(values) for name, values in processor.items()}
    ratio = medians["detectron2"] / medians["ours"]
    summary = {
        "seconds per frame": medians,
        "processor seconds per frame": busy_medians,
        "ratio": ratio,
        "ratio of the fastest turns": min(clock["detectron2"]) / min(clock["ours"]),
        "ratio of processor seconds": busy_medians["detectron2"] / busy_medians["ours"],
        "largest feature difference, share of the largest feature": max(differences),
        "share of proposals matched": matched / (proposals * len(pictures)),
    }
    for name, value in summary.items():
        print(f"{name}: {value}")
    machine = {
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    every = {"clock": clock, "processor": processor}
    setting = {"threads": threads, "proposals": proposals, "frames": [path.name for path in frames], "rounds": rounds}
    files.write_json(out, {"machine": machine, "setting": setting, **summary, "every": every})
    if ratio < FASTER or max(differences) > SHARE:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
