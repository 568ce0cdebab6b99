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
