"""Made-up videos and prompts → frames chosen, similarities by hand, and the three files; what is wrong is named."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_lib.config.features import CLIP
from pipeline_lib.core.errors import ItemError, UserError
from pipeline_lib.features.nets import untrained_s3d
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.trajectories import __main__ as evaluator
from pipeline_lib.features.trajectories import frames, models, report
from pipeline_lib.video.worker import Worker

#: grey of frame i of the videos
GREYS = [20 + 15 * i for i in range(12)]


def video(path: Path, count: int, width: int = 64, height: int = 48) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for grey in GREYS[:count]:
            pixels = np.full((height, width, 3), grey, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("count", "wanted", "upstream", "even"),
    [
        (12, 4, [0, 3, 6, 9], [0, 3, 6, 9]),
        (11, 4, [0, 2, 4, 6], [0, 2, 5, 8]),  # 11 // 4 = 2: the last four frames are never seen
        (7, 4, [0, 1, 2, 3], [0, 1, 3, 5]),
        (4, 4, [0, 1, 2, 3], [0, 1, 2, 3]),
        (3, 8, [0, 0, 0, 1, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1, 2, 2]),  # upstream stops here
        (1, 3, [0, 0, 0], [0, 0, 0]),
    ],
)
def test_positions(count: int, wanted: int, upstream: list[int], even: list[int]) -> None:
    assert frames.positions(count, wanted, "upstream") == upstream
    assert frames.positions(count, wanted, "even") == even


def test_the_chosen_frames_are_decoded(tmp_path: Path) -> None:
    path = video(tmp_path / "v.mp4", 11)
    with Worker() as worker:
        for wanted, expected in ((4, [0, 2, 4, 6]), (22, [i // 2 for i in range(22)])):
            chosen = frames.choose(worker, path, wanted, "upstream")
            assert (chosen.length, chosen.positions) == (11, expected)
            assert chosen.pixels.shape == (wanted, 48, 64, 3)
            found = chosen.pixels.mean(axis=(1, 2, 3))
            assert np.abs(found - [GREYS[i] for i in expected]).max() < 3
        (tmp_path / "no.mp4").write_text("<html>")
        with pytest.raises(ItemError, match="not_a_video"):
            frames.choose(worker, tmp_path / "no.mp4", 4, "even")
        with pytest.raises(ItemError, match="missing_file"):
            frames.choose(worker, tmp_path / "gone.mp4", 4, "even")


def test_frames_become_a_clip_as_upstream_makes_it() -> None:
    pixels = np.zeros((2, 6, 8, 3), np.uint8)
    pixels[1, ..., 2] = 255
    clip = models.clip_of(pixels, None)
    assert clip.shape == (1, 3, 2, 2, 4)  # 3 rows of the half picture, the odd one cut off
    assert clip[0, 2, 1].eq(1).all()
    assert clip.sum() == 8
    # Bicubic halves weigh the four nearest pixels -0.09375 0.59375 0.59375 -0.09375; what overshoots is clamped.
    edge = np.zeros((1, 4, 16, 3), np.uint8)
    edge[:, :, 8:] = 255
    row = models.clip_of(edge, None)[0, 0, 0, 0]
    assert row.tolist() == pytest.approx([0, 0, 0, 0, 1, 1, 1, 1])
    edge[:, :, 7] = 255
    row = models.clip_of(edge, None)[0, 0, 0, 0]
    assert row.tolist() == pytest.approx([0, 0, 0, 0.59375 - 0.09375, 1, 1, 1, 1])
    assert models.clip_of(pixels, 10).shape == (1, 3, 2, 10, 10)


def test_similarities_by_hand() -> None:
    videos, prompts = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[4.0, 3.0], [-1.0, 0.0]])
    assert models.similarities(videos, prompts, "dot").tolist() == [[24.0, -3.0], [6.0, 0.0]]
    cosines = models.similarities(videos, prompts, "cosine").flatten().tolist()
    assert cosines == pytest.approx([24 / 25, -3 / 5, 3 / 5, 0.0])


class Brightness:
    """Embeds a video as (its mean grey, 0), and a prompt as (its number of words, 1)."""

    about: ClassVar[dict[str, Any]] = {"network": "brightness", "trained": False, "name": "untrained (seed 0)"}

    def video(self, pixels: np.ndarray) -> torch.Tensor:
        return torch.tensor([round(float(pixels.mean())), 0.0])

    def text(self, prompts: Sequence[str]) -> torch.Tensor:
        return torch.tensor([[float(len(prompt.split())), 1.0] for prompt in prompts])

    def unknown(self, prompts: Sequence[str]) -> list[str]:
        return [prompt for prompt in prompts if "xyzzy" in prompt]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lists a.txt and b.txt, and prompts; relative paths start from the lists' folder."""
    monkeypatch.setattr(evaluator, "_load", lambda *_: Brightness())
    for name, count in (("long.take.mp4", 12), ("short.mp4", 3)):
        video(tmp_path / name, count)
    (tmp_path / "a.txt").write_text("long.take.mp4\nnone.mp4\n\n")
    (tmp_path / "b.txt").write_text(f"{tmp_path}/short.mp4\n")
    (tmp_path / "p.txt").write_text('one\ntwo "words", =1+1\nxyzzy\n')
    return tmp_path


def run(folder: Path, name: str = "try 1", lists: Sequence[str] = ("a.txt", "b.txt"), **options: Any) -> Any:
    paths = [folder / one for one in lists]
    evaluator.main(paths[:1], folder / "p.txt", name, paths[1:], out=folder / "out", **{"where": "cpu", **options})
    return json.loads((folder / "out" / f"{name}.json").read_text())


def test_several_lists_and_a_video_that_is_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(folder, similarity="dot", n_frames=4, verbose=True)
    # Frames 0 3 6 9 of 20 + 15·i have the mean 87.5; of three frames 0 0 1 2, that is 31.25; both rounded.
    long, short = round(87.5), round(31.25)
    assert [(t["name"], t["list"], t["frames"]) for t in found["trajectories"]] == [
        ("long", "a", 12),
        ("short", "b", 3),
    ]
    means = [t["similarities"] for t in found["trajectories"]]
    assert means[0] == pytest.approx([long, 3 * long, long], abs=3)
    assert means[1] == pytest.approx([short, 3 * short, short], abs=3)
    assert found["lists"] == [
        {"list": "a", "mean_similarities": means[0]},
        {"list": "b", "mean_similarities": means[1]},
    ]
    assert found["failed"] == [
        {"path": "none.mp4", "list": "a", "reason": "missing_file", "detail": "none.mp4 does not exist"}
    ]
    assert found["notes"] == [
        "The network is untrained: these similarities mean nothing.",
        "No word of 'xyzzy' is in the dictionary: it counts as an empty sentence.",
        "Fewer than 4 frames, so some were repeated: short.",
    ]
    assert (found["model"], found["similarity"], found["n_frames"]) == ("s3d", "dot", 4)
    assert found["provenance"]["weights"] == {"s3d": Brightness.about}
    shown = capsys.readouterr().out
    assert "long.take.mp4: 12 frames of 64×48, taken: 0, 3, 6, 9\n" in shown
    assert "2 videos × 3 prompts" in shown
    assert shown.endswith("1 left out\n")
    rows = list(csv.reader(io.StringIO((folder / "out/try 1.csv").read_text())))
    assert rows[0] == ["trajectory", "path", "list", "one", 'two "words", =1+1', "xyzzy"]
    assert [row[:3] for row in rows[1:]] == [["long", "long.take.mp4", "a"], ["short", f"{folder}/short.mp4", "b"]]
    assert [float(cell) for cell in rows[1][3:]] == means[0]


def test_lists_of_one_name_are_told_apart(folder: Path) -> None:
    for name in "xy":
        (folder / name).mkdir()
    (folder / "x/l.txt").write_text("../long.take.mp4\n")
    (folder / "y/l.txt").write_text("../short.mp4\n")
    found = run(folder, lists=["x/l.txt", "y/l.txt", "a.txt"], similarity="dot")
    assert [t["list"] for t in found["trajectories"]] == [f"{folder}/x/l.txt", f"{folder}/y/l.txt", "a"]
    assert [one["mean_similarities"] for one in found["lists"]] == [t["similarities"] for t in found["trajectories"]]
    twice = run(folder, lists=["b.txt", "b.txt"])
    assert [one["list"] for one in twice["lists"]] == ["b"]


def test_any_text_may_stand_in_a_list(folder: Path) -> None:
    """A byte order mark, a home that nobody has, a prompt too long for a file's name, a line separator inside a name."""
    (folder / "a\u2028b.mp4").write_bytes((folder / "short.mp4").read_bytes())
    text = f"\ufeffshort.mp4\r\n~nobody/x.mp4\n{'a cup ' * 99}\na\u2028b.mp4\n"
    (folder / "odd.txt").write_text(text, encoding="utf-8", newline="")
    found = run(folder, lists=["odd.txt"])
    assert [t["path"] for t in found["trajectories"]] == ["short.mp4", "a\u2028b.mp4"]
    assert [one["reason"] for one in found["failed"]] == ["missing_file"] * 2


def test_what_is_not_finite_is_named_and_not_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Brightness):
        def video(self, pixels: np.ndarray) -> torch.Tensor:
            return super().video(pixels) / (pixels.mean() > 60)  # the brighter of the two has no finite embedding

        def text(self, prompts: Sequence[str]) -> torch.Tensor:
            return torch.full((len(prompts), 2), torch.nan if "nan" in prompts else 1.0)

    monkeypatch.setattr(evaluator, "_load", lambda *_: Broken())
    found = run(folder)
    assert [(one["path"], one["reason"]) for one in found["failed"][1:]] == [(f"{folder}/short.mp4", "not_finite")]
    (folder / "p.txt").write_text("nan\n")
    with pytest.raises(UserError, match="a prompt's embedding has NaN or no length"):
        run(folder, "other")
    assert not list((folder / "out").glob("other*"))


def test_the_same_bytes_every_time(folder: Path) -> None:
    first = run(folder, "x")
    contents = [(folder / f"out/x.{suffix}").read_bytes() for suffix in ("png", "csv", "json")]
    run(folder, "x")
    assert contents == [(folder / f"out/x.{suffix}").read_bytes() for suffix in ("png", "csv", "json")]
    assert (first["similarity"], first["n_frames"]) == ("cosine", 32)
    assert [t["similarities"][0] for t in first["trajectories"]] == pytest.approx([0.5**0.5] * 2, abs=1e-6)
    assert run(folder, "y", model="clip")["n_frames"] == 8


def test_heat_maps_grow_and_take_any_title() -> None:
    rows = [report.Trajectory(f"t{i}", f"t{i}.mp4", "a" if i < 20 else "b", 9) for i in range(40)]
    values = np.linspace(-1, 1, 40 * 50).reshape(40, 50)
    small = report.heat_map(values[:2, :2], rows[:2], ["$x$ _", "a long prompt " * 20], "50 % $")
    large = report.heat_map(values, rows, [f"prompt {i}" for i in range(50)], "x")
    sizes = [Image.open(io.BytesIO(content)).size for content in (small, large)]
    assert sizes[0] == (976, 560)  # 3.5 + 2·1.3 = 6.1 inches by 3.5, at 160 dpi
    assert sizes[1] == (4000, 2912)  # no wider than 25 inches
    constant = report.heat_map(np.zeros((1, 1)), rows[:1], ["x"], "x")
    assert Image.open(io.BytesIO(constant)).size == (960, 560)


def test_mistakes_are_named(folder: Path) -> None:
    for options, message in (
        ({"name": "../x"}, "becomes a file name"),
        ({"name": ".."}, "becomes a file name"),
        ({"n_frames": 7}, "--n-frames 7: S3D takes an even number"),
        ({"lists": ["none.txt"]}, r"none\.txt can't be read .*the path of a video per line"),
        ({"lists": ["empty.txt"]}, r"empty\.txt is empty"),
        (
            {"lists": ["lost.txt"]},
            r"none of the 1 videos could be read; the first: lost\.mp4: lost\.mp4 does not exist",
        ),
    ):
        (folder / "empty.txt").write_text("\n \n")
        (folder / "lost.txt").write_text("lost.mp4\n")
        with pytest.raises(UserError, match=message):
            run(folder, **{"name": "x", "lists": ["a.txt"], **options})  # type: ignore[arg-type]
    assert not (folder / "out").exists()


def test_paths_are_looked_at_before_the_network_is_built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "_load", lambda *_: pytest.fail("too early"))
    with pytest.raises(UserError, match=r"none\.txt can't be read"):
        run(folder, lists=["a.txt", "none.txt"])
    (folder / "out").write_text("mine")
    with pytest.raises(UserError, match="out is a file; give -o a folder"):
        run(folder)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a cup\n")
    (tmp_path / "v.txt").write_text("v.mp4\n")
    for model, message in (("s3d", "howto100m"), ("clip", "untrained")):
        with pytest.raises(UserError, match=rf"--model-checkpoint-path '.*gone\.pth': no such file.*{message}"):
            evaluator.main(
                [tmp_path / "v.txt"],
                tmp_path / "p.txt",
                "x",
                model=model,
                weights=str(tmp_path / "gone.pth"),
                where="cpu",
            )


@pytest.fixture(scope="module")
def net() -> S3D:
    return untrained_s3d.untrained(0)


def test_s3d_embeds_videos_and_prompts_as_the_published_network(
    net: S3D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(net.state_dict(), tmp_path / "s3d.pth")
    np.save(tmp_path / "s3d_dict.npy", np.array(["cup", "a"]))
    loaded = models.load_s3d(str(tmp_path / "s3d.pth"), None, [], 0, torch.device("cpu"))
    assert loaded.about["trained"]
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 80, 3), dtype=np.uint8)
    published = S3D(["cup", "a"])
    published.load_state_dict(net.state_dict())
    with torch.inference_mode():
        expected = published.eval()(models.clip_of(pixels, None))["video_embedding"][0]
        texts = published.text_module(["A cup!", "dog"])["text_embedding"]
    assert torch.allclose(loaded.video(pixels), expected, atol=1e-4)
    assert torch.equal(loaded.text(["A cup!", "dog"]), texts)
    assert loaded.unknown(["A cup!", "dog", "a dog"]) == ["dog"]
    with pytest.raises(ItemError, match="16×8 pixels are too few for S3D; use --size 224"):
        loaded.video(np.zeros((4, 16, 32, 3), np.uint8))
    monkeypatch.setattr(untrained_s3d, "untrained", lambda seed: net)
    untrained = models.load_s3d("untrained", None, ["A dog's cup"], 3, torch.device("cpu"))
    assert untrained.about == {"network": "s3d", "trained": False, "name": "untrained (seed 3)"}
    assert untrained.unknown(["cup", "dog's", "dog"]) == ["dog"]


class Tiny(torch.nn.Module):
    """Pictures → (mean red, mean green), sentences → (first token, 1)."""

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(2, 3))[:, :2]

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.stack([tokens[:, 0].float(), torch.ones(len(tokens))], dim=1)


def test_clip_averages_the_unit_vectors_of_frames() -> None:
    from open_clip.transform import PreprocessCfg

    from pipeline_lib.features.clip import Clip

    cfg = PreprocessCfg(size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    ready = Clip(Tiny(), lambda texts: torch.tensor([[len(text)] for text in texts]), cfg)
    model = models.CLIPModel(ready, {"trained": True}, CLIP(), torch.device("cpu"))
    pixels = np.zeros((2, 16, 16, 3), np.uint8)
    pixels[0, ..., 0] = 200  # (200, 0): unit vector (1, 0)
    pixels[1, ..., :2] = (30, 40)  # unit vector (0.6, 0.8)
    assert model.video(pixels).tolist() == pytest.approx([0.8, 0.4])
    assert model.text(["abc"]).flatten().tolist() == pytest.approx([3 / 10**0.5, 1 / 10**0.5])
    assert model.unknown(["x"]) == []
