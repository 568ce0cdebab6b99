"""A trained MESM and a split → predicted moments of every query, in QVHighlights' format of submissions (specs: mesm §7)."""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from pipeline_lib.config.moments import WHOLE, Moments
from pipeline_lib.core import arguments, cli, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import inputs, submission
from pipeline_lib.moments.checkpoint import Checkpoint
from pipeline_lib.moments.data import Part, moved
from pipeline_lib.moments.inputs import Files
from pipeline_lib.moments.model import Net
from pipeline_lib.moments.submission import Prediction
from pipeline_lib.moments.videos import Scale, Videos

log = logging.getLogger(__name__)
_NONE = np.zeros((0, 3))


@torch.inference_mode()
def predict(net: Net, part: Part, where: torch.device) -> list[Prediction]:
    """Windows and saliency of every query, in the order of the dataset; none where the video can't be used.

    Args:
        net: on `where`, in evaluation mode.
    """
    wanted = part.options.prediction
    clip = part.options.data.clip_len if wanted.round_to_clips else WHOLE
    found: dict[int, Prediction] = {}
    for groups in part.evaluation():
        batch = moved(part.batch(groups), where)
        outputs = net(batch)
        windows, saliency = outputs.windows().float().cpu().numpy(), outputs.saliency.float().cpu().numpy()
        lengths = batch.video_mask.sum(1)[batch.of_video].tolist()
        for place, number in enumerate(number for group in groups for number in group):
            one = part.moments[number]
            scored = windows[place] * np.array([one.duration, one.duration, 1.0], np.float32)
            finished = submission.finish(scored, clip, wanted.longest or one.duration, wanted.nms)
            rows = saliency[place, : lengths[place]].astype(np.float64).round(submission.DECIMALS)
            found[number] = Prediction(one.query_id, one.sentence, one.video_id, finished, rows)
    return [
        found.get(number, Prediction(one.query_id, one.sentence, one.video_id, _NONE))
        for number, one in enumerate(part.moments)
    ]


def options_for(checkpoint: Checkpoint, given: str) -> Moments:
    """The options of a checkpoint with other ones for everything but the network and how it reads.

    Args:
        given: JSON text; its `data` and `model` are not looked at.
    """
    trained = Moments.model_validate(checkpoint.about["options"])
    if given == "{}":
        return trained
    kept = {"data": trained.data, "model": trained.model}
    return cli.parse_options(Moments, given).model_copy(update=kept)


def scales_of(checkpoint: Checkpoint) -> list[Scale] | None:
    """By which features are standardised, if they were in training."""
    found = [Scale(*(np.array(one[name], np.float32) for name in Scale._fields)) for one in checkpoint.about["scales"]]
    return found or None


def open_part(
    trained: Checkpoint, options: Moments, files: Files, videos: Videos, split: str, where: torch.device
) -> Part:
    """A split as a trained network reads it.

    Raises:
        UserError: its features or vectors are not of the sizes that the network was trained with.
    """
    videos.scales = scales_of(trained)
    part = inputs.open_parts(options, files, videos, [split], where)[split]
    sizes = part.dim, part.sentences.dim
    if sizes != trained.sizes[:2]:
        raise UserError(
            f"the network reads rows of {trained.sizes[0]} and words of {trained.sizes[1]} numbers, not {sizes[0]} and "
            f"{sizes[1]}; give the features and vectors that it was trained with"
        )
    return part


def main(
    checkpoint: Annotated[Path, typer.Option(help="made by pipeline_lib.moments.train")],
    split: Annotated[str, typer.Option(help="as the dataset calls it")],
    out: Annotated[Path, typer.Option(help="JSONL to write, a line per query")],
    features: inputs.Features = None,
    vocabulary: inputs.Vocabulary = None,
    words: inputs.Words = None,
    annotations: inputs.Annotations = None,
    captions: inputs.Captions = None,
    options: Annotated[
        str,
        typer.Option(
            help="section moments, as JSON; default: that of the checkpoint, whose data and model always hold"
        ),
    ] = "{}",
    where: arguments.Device = "auto",
) -> None:
    """Write the predicted moments of a split."""
    trained = Checkpoint.load(checkpoint)
    wanted = options_for(trained, options)
    device.deterministic(wanted.training.threads)
    target = device.choose(where)
    files = Files.of(wanted, features, vocabulary, words, annotations, captions)
    net = trained.network().to(target)
    with inputs.open_videos(wanted, files) as videos:
        part = open_part(trained, wanted, files, videos, split, target)
        found = predict(net, part, target)
    submission.write(out, found)
    log.info("%s: %d queries, %d without features", out, len(found), len(part.left_out))


if __name__ == "__main__":
    cli.run(main)
