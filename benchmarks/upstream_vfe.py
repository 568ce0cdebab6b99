"""A checkout of antoine77340/video_feature_extractor → how far our 2-D and 3-D features are from its, on equal weights.

python benchmarks/upstream_vfe.py --upstream ../video_feature_extractor --out benchmarks/results/upstream_vfe.json

Networks and Preprocessing are compared on tensors. Then upstream's extract.py runs whole, on a video file, against our
command line on the same file. It asks for a GPU, pandas and an ffmpeg program, which stand-ins give here: the CPU, the
csv module, and libavfilter through PyAV, with the filters that upstream builds.
"""

import contextlib
import csv
import importlib
import os
import platform
import runpy
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any, ClassVar, Self
from unittest import mock

import av
import av.filter
import numpy as np
import torch
import torchvision
import typer
from torch import Tensor, nn

from pipeline_lib.core import device, files
from pipeline_lib.features import from_csv, resnet152, resnext101
from pipeline_lib.features.nets import untrained_resnet152, untrained_resnext101
from pipeline_lib.features.nets.textures import textures

PICTURES = ((1, 224, 398), (1, 398, 224), (2, 224, 299))  # batch, height, width
VIDEOS = ((320, 180, 51), (180, 322, 100))  # width, height, frames; at 30 a second
EXACT, RELATIVE, STORED = 1e-10, 1e-5, 1e-4  # STORED: of float16 rows of unit length

Row = dict[str, Any]


class FakeFfmpeg:
    """What upstream uses of ffmpeg-python, over libavfilter; every chain that was run is kept in `chains`."""

    chains: ClassVar[list[str]] = []

    def __init__(self, path: str, chain: tuple[str, ...] = ()) -> None:
        self.path, self.chain = path, chain

    @staticmethod
    def probe(path: str) -> Row:
        with av.open(path) as container:
            stream = container.streams.video[0]
            return {"streams": [{"codec_type": "video", "width": stream.width, "height": stream.height}]}

    def filter(self, name: str, *values: object, **named: object) -> Self:
        arguments = ":".join([*map(str, values), *(f"{key}={value}" for key, value in named.items())])
        return type(self)(self.path, (*self.chain, f"{name}={arguments}"))

    def crop(self, x: int, y: int, width: int, height: int) -> Self:
        return self.filter("crop", width, height, x, y)

    def output(self, target: str, format: str, pix_fmt: str) -> Self:
        assert (target, format) == ("pipe:", "rawvideo")
        return self.filter("format", pix_fmt)

    def run(self, capture_stdout: bool, quiet: bool) -> tuple[bytes, None]:
        self.chains.append(",".join(self.chain))
        return b"".join(self._frames()), None

    def _frames(self) -> Iterator[bytes]:
        """All frames through one graph, as the program does it."""
        with av.open(self.path) as container:
            stream = container.streams.video[0]
            graph = av.filter.Graph()
            last = graph.add_buffer(template=stream)
            for name, _, arguments in (part.partition("=") for part in self.chain):
                node = graph.add(name, arguments)
                last.link_to(node)
                last = node
            last.link_to(graph.add("buffersink"))
            graph.configure()
            for picture in [*container.decode(stream), None]:
                graph.vpush(picture)
                with contextlib.suppress(BlockingIOError, EOFError):
                    while True:
                        yield graph.vpull().to_ndarray().tobytes()


class FakePandas:
    """What upstream uses of pandas."""

    class Column:
        def __init__(self, values: list[str]) -> None:
            self.values = values

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Column:
        return self.Column([row[name] for row in self.rows])

    @classmethod
    def read_csv(cls, path: str) -> "FakePandas":
        with open(path, newline="") as stream:
            return cls(list(csv.DictReader(stream)))


@contextlib.contextmanager
def stand_ins(upstream: Path, weights: dict[str, Tensor]) -> Iterator[None]:
    """Upstream's modules importable, its GPU calls on the CPU, its ResNet-152 with our weights."""

    original = torchvision.models.resnet152

    def resnet(pretrained: bool) -> nn.Module:
        net: nn.Module = original(weights=None)
        net.load_state_dict(weights, strict=False)
        return net

    ffmpeg, pandas = ModuleType("ffmpeg"), ModuleType("pandas")
    vars(ffmpeg).update(probe=FakeFfmpeg.probe, input=FakeFfmpeg)
    vars(pandas).update(read_csv=FakePandas.read_csv)
    own = ("model", "preprocessing", "video_loader", "random_sequence_shuffler", "videocnn", "videocnn.models")
    before = {name: sys.modules.get(name) for name in own}
    with (
        mock.patch.dict(sys.modules, {"ffmpeg": ffmpeg, "pandas": pandas}),
        mock.patch.object(sys, "path", [str(upstream), *sys.path]),
        mock.patch.object(torch.cuda, "FloatTensor", torch.FloatTensor, create=True),
        mock.patch.object(Tensor, "cuda", lambda self: self),
        mock.patch.object(nn.Module, "cuda", lambda self: self),
        mock.patch.object(torchvision.models, "resnet152", resnet),
    ):
        assert not any(before.values()), f"modules of these names are loaded: {before}"
        yield


def disturbed(net: nn.Module, seed: int) -> dict[str, Tensor]:
    """The state of an untrained network with its norms moved off their round values."""
    source = torch.Generator().manual_seed(seed)
    state = net.state_dict()
    for key, value in state.items():
        if value.is_floating_point() and value.ndim == 1:
            state[key] = value + 0.05 * torch.rand(value.shape, generator=source)
    net.load_state_dict(state)
    return state


def row(name: str, theirs: Tensor, ours: Tensor, exact: float | None = None) -> Row:
    """A line of the table; `exact` is the difference in float64."""
    difference = (theirs - ours).abs().max().item()
    return {
        "what": name,
        "largest value": theirs.abs().max().item(),
        "largest difference": difference,
        "in float64": exact,
    }


def compare_networks(nets: list[tuple[nn.Module, nn.Module, dict[str, Tensor]]]) -> list[Row]:
    """Every (theirs, ours, inputs by name) in float32 and in float64."""
    rows = []
    with torch.inference_mode():
        for theirs, ours, inputs in nets:
            for name, value in inputs.items():
                single = theirs.float()(value), ours.float()(value)
                double = theirs.double()(value.double()), ours.double()(value.double())
                exact = (double[0] - double[1]).abs().max().item()
                rows.append(row(name, single[0], single[1], exact))
            theirs.float(), ours.float()
    return rows


def compare_preprocessing(preprocessing: Any) -> list[Row]:
    """Upstream's Preprocessing on whole videos against our units and normalisation."""
    pictures = (textures(5, 1, 64, 3)[:, :, 0, :48] * 255).byte().permute(0, 2, 3, 1)
    video = (textures(1, 37, 112, 4)[0] * 255).byte().permute(1, 2, 3, 0)  # 37 frames: the last clip is filled up
    clips = np.stack(list(resnext101.units(iter(video.numpy()), resnext101.Options())))
    ours = {
        "2d": resnet152.normalise(pictures.permute(0, 3, 1, 2)),
        "3d": resnext101.normalise(torch.from_numpy(clips).permute(0, 4, 1, 2, 3)),
    }
    theirs = {
        kind: preprocessing(kind)(frames.float().permute(0, 3, 1, 2))
        for kind, frames in (("2d", pictures), ("3d", video))
    }
    return [row(f"Preprocessing {kind}", theirs[kind], ours[kind]) for kind in ours]


def write_video(path: Path, width: int, height: int, frames: int) -> None:
    """An H.264 file of moving textures at 30 frames a second."""
    clip = (textures(1, frames, max(width, height), seed=width)[0, :, :, :height, :width] * 255).byte()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1  # the same bytes on every run
        for picture in clip.permute(1, 2, 3, 0).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def compare_files(upstream: Path, folder: Path, states: dict[str, dict[str, Tensor]]) -> list[Row]:
    """Upstream's extract.py and our command line, each from video files to .npy files."""
    videos = []
    for width, height, frames in VIDEOS:
        videos.append(folder / f"{width}x{height}.mp4")
        write_video(videos[-1], width, height, frames)
    rows = []
    for kind, state in states.items():
        weights = folder / f"{kind}.pth"
        torch.save(state, weights)
        lists = {}
        for side in ("theirs", "ours"):
            lists[side] = folder / f"{kind}_{side}.csv"
            lines = [f"{video},{folder / side / f'{video.stem}_{kind}.npy'}" for video in videos]
            (folder / side).mkdir(exist_ok=True)
            files.write_text(lists[side], "\n".join(["video_path,feature_path", *lines, ""]))
        theirs = ["extract.py", "--csv", str(lists["theirs"]), "--type", kind, "--num_decoding_thread", "0"]
        theirs += ["--batch_size", "8", "--resnext101_model_path", str(weights)]
        with mock.patch.object(sys, "argv", theirs), contextlib.redirect_stdout(sys.stderr):
            runpy.run_path(str(upstream / "extract.py"))
        from_csv.main(lists["ours"], kind, 8, weights=weights, where="cpu", threads=1)
        for video in videos:
            stored = [np.load(folder / side / f"{video.stem}_{kind}.npy") for side in ("theirs", "ours")]
            assert stored[0].dtype == stored[1].dtype == np.float16 and stored[0].shape == stored[1].shape
            name = f"file {kind} of {video.stem}, {stored[0].shape}"
            rows.append(row(name, *(torch.from_numpy(values.astype(np.float32)) for values in stored)))
            rows[-1]["equal values"] = float((stored[0] == stored[1]).mean())
    return rows


def main(
    upstream: Annotated[Path, typer.Option(help="checkout of antoine77340/video_feature_extractor")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print a table of the largest differences, write it, and fail when one is beyond rounding."""
    device.deterministic()
    flat, deep = untrained_resnet152.untrained(seed), untrained_resnext101.untrained(seed)
    fc = torch.nn.Linear(2048, 400).state_dict(prefix="fc.")  # upstream's files have a classifier
    states = {"2d": disturbed(flat, seed), "3d": {**disturbed(deep, seed), **fc}}
    with tempfile.TemporaryDirectory() as name, stand_ins(upstream, states["2d"]):
        folder = Path(name)
        torch.save(states["3d"], folder / "3d.pth")
        model, preprocessing = importlib.import_module("model"), importlib.import_module("preprocessing")
        theirs = [
            model.get_model(SimpleNamespace(type=kind, resnext101_model_path=folder / "3d.pth"))
            for kind in ("2d", "3d")
        ]
        pictures = {
            f"2d {'×'.join(map(str, shape))}": resnet152.normalise(
                (textures(shape[0], 1, max(shape), 1)[:, :, 0, : shape[1], : shape[2]] * 255).round()
            )
            for shape in PICTURES
        }
        clips = {"3d 2×16×112×112": resnext101.normalise((textures(2, 16, 112, 2) * 255).round())}
        rows = compare_networks([(theirs[0], flat, pictures), (theirs[1], deep, clips)])
        rows += compare_preprocessing(preprocessing.Preprocessing)
        stored = compare_files(upstream, folder, states)
    print("| what | largest value | largest difference | in float64 |\n|---|---|---|---|")
    for line in [*rows, *stored]:
        exact = "" if line["in float64"] is None else f"{line['in float64']:.1e}"
        print(f"| {line['what']} | {line['largest value']:.3g} | {line['largest difference']:.1e} | {exact} |")
    worst = {
        "float32 relative": max(line["largest difference"] / line["largest value"] for line in rows),
        "float64 absolute": max(line["in float64"] or 0.0 for line in rows),
        "stored absolute": max(line["largest difference"] for line in stored),
    }
    bounds = {"float32 relative": RELATIVE, "float64 absolute": EXACT, "stored absolute": STORED}
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    chains = sorted(set(FakeFfmpeg.chains))
    content = {"machine": machine, "seed": seed, "bounds": bounds, "worst": worst, "rows": [*rows, *stored]}
    files.write_json(out, {**content, "ffmpeg filters of upstream": chains})
    print(f"worst: {worst}; upstream's filters: {'; '.join(chains)}")
    if any(worst[name] > bounds[name] for name in bounds):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
