import json
import logging

import pytest

from pipeline_lib.core import check, files, ledger


def test_missing_resized_and_rewritten_artefacts_are_found(tmp_path):
    rows = []
    for name in "abc":
        path = tmp_path / "s3d/items/x/0000" / f"{name}.npy"
        files.write_text(path, f"rows of {name}")
        digest = files.sha256(path)
        rows.append(
            ledger.Row(name, "ok", artefact=f"s3d/items/x/0000/{name}.npy", bytes=path.stat().st_size, sha256=digest)
        )
    out = tmp_path / "s3d/0000.parquet"
    ledger.write(out, [*rows, ledger.Row("d", "failed", "private")])
    items = tmp_path / "s3d/items/x/0000"
    assert check.damaged(out, deep=True) == []
    (items / "a.npy").unlink()
    (items / "b.npy").write_text("short")
    (items / "c.npy").write_text("rows of x")
    assert [path.stem for path in check.damaged(out, deep=False)] == ["a", "b"]
    assert [path.stem for path in check.damaged(out, deep=True)] == ["a", "b", "c"]
    check.main(tmp_path, dry=True)
    assert out.exists()
    check.main(tmp_path, deep=False, dry=False)
    assert not out.exists() and [path.name for path in items.iterdir()] == ["c.npy"]


def visual_query(folder, name, content):
    """A ledger of one artefact in a folder of visual queries."""
    artefact = folder / "items/x/0000" / name
    files.write_text(artefact, content)
    row = ledger.Row("q", "ok", artefact=f"{folder.name}/items/x/0000/{name}", bytes=len(content))
    ledger.write(folder / "0000.parquet", [row])
    return folder / "0000.parquet", artefact


@pytest.mark.parametrize("lost", ["clips/q.mp4", "frames/q/color_0000000.jpg", "detections.queries/items/x/0000/q.npz"])
def test_what_visual_queries_lost_is_found_and_asked_for_by_name(tmp_path, caplog, lost):
    val = tmp_path / "vq2d/val"
    files.write_text(val / "clips/q.mp4", "clip")
    files.write_text(val / "frames/q/color_0000000.jpg", "frame")
    made = {
        "clips": visual_query(val / "clips/ledger", "q.json", json.dumps({"bytes": 4})),
        "frames": visual_query(val / "frames/ledger", "q.json", json.dumps({"bytes": 5})),
        "detections.queries": visual_query(val / "detections.queries", "q.npz", "boxes"),
    }
    assert not any(check.damaged(path, deep=False) for path, _ in made.values())
    (val / lost).unlink()
    with caplog.at_level(logging.INFO):
        check.main(tmp_path, deep=False, dry=True)
        assert all(path.exists() for path, _ in made.values())
        assert "run this again without --dry" in caplog.text and "run snakemake" not in caplog.text
        check.main(tmp_path, deep=False, dry=False)
    path, artefact = made.pop(lost.partition("/")[0])
    assert not path.exists() and not artefact.exists() and all(other.exists() for other, _ in made.values())
    assert f"for the target vq2d; before another one name these: {path}" in caplog.text


def test_a_damaged_clip_itself_stays(tmp_path):
    clip = tmp_path / "vq2d/val/clips/q.mp4"
    files.write_text(clip, "cut")
    path, _ = visual_query(clip.parent / "ledger", "q.json", json.dumps({"bytes": 4}))
    check.main(tmp_path, deep=False, dry=False)
    assert clip.exists() and not path.exists()
