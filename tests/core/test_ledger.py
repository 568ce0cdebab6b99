import gc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_lib.core import ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row


def test_rows_survive(tmp_path):
    rows = [
        Row(
            "a",
            ledger.OK,
            artefact="s/items/x/0000/a.npy",
            rows=3,
            bytes=10,
            sha256="f",
            seconds=0.5,
            attempts=1,
            spec="x",
        ),
        Row("line\nbreak", ledger.FAILED, "invalid_id", "…"),
    ]
    ledger.write(tmp_path / "0000.parquet", rows)
    assert list(ledger.read(tmp_path / "0000.parquet").values()) == rows


def test_shards_beyond_the_count_are_left_alone(tmp_path):
    for shard, name in enumerate("cab"):
        ledger.write(tmp_path / f"{shard:04d}.parquet", [Row(name, ledger.OK)])
    assert list(ledger.read_shards(tmp_path, 2)) == ["a", "c"]


def test_columns_that_are_not_read_have_their_defaults(tmp_path):
    ledger.write(tmp_path / "0000.parquet", [Row("a", ledger.FAILED, "live", "on air", bytes=3, spec="x")])
    found = ledger.read_shards(tmp_path, 1, ("video_id", "status", "reason"))
    assert found == {"a": Row("a", ledger.FAILED, "live")}


def test_empty_ledger_is_legal(tmp_path):
    ledger.write(tmp_path / "0000.parquet", [])
    assert ledger.read(tmp_path / "0000.parquet") == {}


def test_columns_come_in_the_order_asked_for(tmp_path):
    ledger.write(tmp_path / "0000.parquet", [Row("a", ledger.OK, bytes=3), Row("b", ledger.FAILED, "live")])
    table = ledger.columns(tmp_path / "0000.parquet", ("bytes", "video_id"))
    assert table.column_names == ["bytes", "video_id"] and table["bytes"].to_pylist() == [3, 0]


def test_foreign_files_are_named(tmp_path):
    path = tmp_path / "0000.parquet"
    with pytest.raises(UserError, match="does not exist"):
        ledger.read(path)
    path.write_text("no parquet")
    with pytest.raises(UserError, match="not a ledger"):
        ledger.read(path)
    pq.write_table(pa.table({"video_id": ["a"], "status": ["ok"]}), path)
    with pytest.raises(UserError, match=r"not a ledger .*reason"):
        ledger.read(path)
    assert gc.isenabled()


def test_among_many_shards_the_foreign_file_is_named(tmp_path):
    for shard in range(3):
        ledger.write(tmp_path / f"{shard:04d}.parquet", [Row(f"v{shard}", ledger.OK)])
    with pytest.raises(UserError, match=r"0003.parquet does not exist"):
        ledger.read_shards(tmp_path, 4)
    path = tmp_path / "0001.parquet"
    for table in ({"video_id": ["a"], "status": ["ok"]}, {"spec": ["a"], "status": ["ok"]}, {"video_id": [1]}):
        pq.write_table(pa.table(table), path)
        with pytest.raises(UserError, match=r"0001.parquet is not a ledger"):
            ledger.read_shards(tmp_path, 3)
    path.write_bytes((tmp_path / "0002.parquet").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"0001.parquet is not a ledger"):
        ledger.read_shards(tmp_path, 3)
    assert gc.isenabled()
