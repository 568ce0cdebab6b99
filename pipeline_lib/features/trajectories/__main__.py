"""Lists of videos and a list of prompts → EXPERIMENT.png, .csv and .json of how similar each video is to each prompt."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from torch import Tensor

from pipeline_lib.config.features import CLIP
from pipeline_lib.config.video import Limits
from pipeline_lib.core import arguments, cli, device, provenance
from pipeline_lib.core.errors import ItemError, Reason, UserError, one_line
from pipeline_lib.features.trajectories import frames, models, report
from pipeline_lib.features.trajectories.report import Failed, Trajectory
from pipeline_lib.video.worker import Worker

log = logging.getLogger(__name__)

#: Frames of a video: what S3D was trained with, and what upstream's README takes for ViCLIP.
N_FRAMES = {"s3d": 32, "clip": 8}
CHECKPOINTS = {"s3d": "checkpoints/s3d_howto100m.pth", "clip": "checkpoints/open_clip_model.safetensors"}


def lines(path: Path, what: str) -> list[str]:
    """The lines of a text file that are not blank."""
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read ({one_line(error)}); give a text file with {what} per line") from None
    found = [line for line in found if line]
    if not found:
        raise UserError(f"{path} is empty; write {what} per line")
    return found


def find(line: str, beside: Path) -> Path:
    """The file a line of a list names: from the current folder, as upstream has it, or else from the list's."""
    path = Path(line)
    try:
        path = path.expanduser()
        return path if path.exists() or path.is_absolute() else next((p for p in [beside / path] if p.exists()), path)
    except (OSError, RuntimeError):  # too long for a name; a home that nobody has
        return path


def group_names(lists: Sequence[Path]) -> list[str]:
    """What to call each list: its file's name, or its path where several files are called the same."""
    stems = [path.stem for path in dict.fromkeys(lists)]
    return [path.stem if stems.count(path.stem) == 1 else str(path) for path in lists]


def embed(
    lists: Sequence[Path], model: models.Model, n_frames: int, sampling: frames.Sampling, verbose: bool = False
) -> tuple[list[Tensor], list[Trajectory], list[Failed]]:
    """An embedding per video, in the order of the lists; those that fail are named, the others go on."""
    rows: list[Tensor] = []
    done: list[Trajectory] = []
    failed: list[Failed] = []
    with Worker(Limits()) as worker:
        for path, group in zip(lists, group_names(lists), strict=True):
            for line in lines(path, "the path of a video"):
                try:
                    chosen = frames.choose(worker, find(line, path.parent), n_frames, sampling)
                    row = model.video(chosen.pixels)
                    if not row.isfinite().all():
                        raise ItemError(Reason.NOT_FINITE, "the network's output holds NaN or Inf")
                except ItemError as error:
                    log.warning("%s: left out: %s", line, error)
                    failed.append(Failed(line, group, error.reason, error.detail))
                    continue
                rows.append(row)
                done.append(Trajectory(Path(line).name.split(".")[0], line, group, chosen.length))
                if verbose:
                    height, width = chosen.pixels.shape[1:3]
                    shown = ", ".join(map(str, chosen.positions))
                    print(f"{line}: {chosen.length} frames of {width}×{height}, taken: {shown}")
    return rows, done, failed


def notes(model: models.Model, prompts: Sequence[str], done: Sequence[Trajectory], n_frames: int) -> list[str]:
    """What a reader must know before quoting the numbers."""
    found = []
    if not model.about["trained"]:
        found.append("The network is untrained: these similarities mean nothing.")
    unknown = model.unknown(prompts)
    if unknown:
        found.append(
            f"No word of {', '.join(map(repr, unknown))} is in the dictionary: it counts as an empty sentence."
        )
    short = [one.name for one in done if one.frames < n_frames]
    if short:
        found.append(f"Fewer than {n_frames} frames, so some were repeated: {', '.join(short)}.")
    return [one_line(note, 1000) for note in found]


def main(
    trajectories: Annotated[
        list[Path],
        typer.Option(
            "-t", "--trajectories-path", help="list of videos, a path per line; several: -t A B, or -t A -t B"
        ),
    ],
    prompts_path: Annotated[Path, typer.Option("-p", "--prompts-path", help="prompts, one per line")],
    experiment: Annotated[str, typer.Option("-e", "--experiment-id", help="name of the results")],
    more: Annotated[list[Path] | None, typer.Argument(help="more lists of videos", show_default=False)] = None,
    out: Annotated[Path, typer.Option("-o", "--output-dir", help="folder for the results")] = Path(
        "evaluation_results"
    ),
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="say what is done")] = False,
    n_frames: Annotated[int | None, typer.Option(min=1, help="frames of a video [32 for s3d, 8 for clip]")] = None,
    model: Annotated[Literal["s3d", "clip"], typer.Option(help="network")] = "s3d",
    similarity: Annotated[Literal["cosine", "dot"], typer.Option(help="S3D was trained with dot products")] = "cosine",
    weights: Annotated[
        str | None,
        typer.Option(
            "--model-checkpoint-path",
            help=f"file | howto100m | untrained [{CHECKPOINTS['s3d']}, {CHECKPOINTS['clip']}]",
        ),
    ] = None,
    dictionary: Annotated[Path | None, typer.Option(help="s3d_dict.npy [beside the checkpoint]")] = None,
    sampling: Annotated[
        Literal["upstream", "even"],
        typer.Option(help="upstream: every (length // n)-th frame; even: over the whole video"),
    ] = "upstream",
    size: Annotated[
        int | None, typer.Option(min=32, help="s3d: pixels of a square to stretch frames to [half]")
    ] = None,
    clip_model: Annotated[str, typer.Option(help="model of open_clip")] = CLIP().model,
    clip_preprocessing: Annotated[
        str, typer.Option(help="published weights whose mean, deviation … apply")
    ] = CLIP().preprocessing,
    where: arguments.Device = "auto",
    seed: arguments.Seed = 0,
) -> None:
    """Compare videos with prompts: a heat map of similarities, trajectories by prompts."""
    if not re.fullmatch(r"[\w .()+=-]*\w[\w .()+=-]*", experiment):
        raise UserError(f"-e {experiment!r} becomes a file name: use letters, digits, spaces, and . _ - + = ( )")
    frames_wanted = n_frames or N_FRAMES[model]
    if model == "s3d" and frames_wanted % 2:
        raise UserError(f"--n-frames {frames_wanted}: S3D takes an even number; 32 is what it was trained with")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give -o a folder, new or there already")
    prompts = lines(prompts_path, "a prompt")
    lists = [*trajectories, *(more or [])]
    for path in lists:  # before the network is built, which takes a while
        lines(path, "the path of a video")
    device.deterministic()
    target = device.choose(where)
    loaded = _load(
        model, weights or CHECKPOINTS[model], dictionary, prompts, seed, target, size, clip_model, clip_preprocessing
    )
    rows, done, failed = embed(lists, loaded, frames_wanted, sampling, verbose)
    if not rows:
        raise UserError(
            f"none of the {len(failed)} videos could be read; the first: {failed[0].path}: {failed[0].detail}"
        )
    values = models.similarities(torch.stack(rows), loaded.text(prompts), similarity).numpy()
    if not np.isfinite(values).all():
        raise UserError("a prompt's embedding has NaN or no length, so there is no similarity; give other weights")
    said = notes(loaded, prompts, done, frames_wanted)
    settings = {"model": model, "similarity": similarity, "n_frames": frames_wanted, "sampling": sampling, "size": size}
    record = provenance.record(settings, specs={}, weights={model: loaded.about}, device=str(target))
    whole = {"experiment": experiment, **settings, "notes": said, **report.content(values, done, prompts, failed)}
    title = experiment + ("" if loaded.about["trained"] else " (untrained network)")
    picture = report.heat_map(values, done, prompts, title)
    report.write(out, experiment, picture, report.table(values, done, prompts), {**whole, "provenance": record})
    for note in said:
        print(f"note: {note}")
    print(
        f"{len(done)} videos × {len(prompts)} prompts: {out / experiment}.png, .csv, .json"
        + (f"; {len(failed)} left out" if failed else "")
    )


def _load(
    model: str,
    weights: str,
    dictionary: Path | None,
    prompts: Sequence[str],
    seed: int,
    where: torch.device,
    size: int | None,
    clip_model: str,
    clip_preprocessing: str,
) -> models.Model:
    if model == "s3d":
        return models.load_s3d(weights, dictionary, prompts, seed, where, size)
    return models.load_clip(weights, CLIP(model=clip_model, preprocessing=clip_preprocessing), seed, where)


if __name__ == "__main__":
    cli.run(main)
