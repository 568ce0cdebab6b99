"""Features of some videos of a merged file → a shard of WebDataset or a Parquet file."""

import io
import json
import math
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.store.pieces import BUFFER
from pipeline_lib.store.reader import FeatureFile


def blocks(file: FeatureFile, video_id: str) -> Iterator[np.ndarray]:
    """A video's rows (n, …), some at a time."""
    dtype, shape = file.kind(video_id)
    step = max(1, BUFFER // (dtype.itemsize * math.prod(shape[1:])))
    for first in range(0, shape[0], step):
        yield file.rows(video_id, first, first + step)


def npy_header(file: FeatureFile, video_id: str) -> bytes:
    dtype, shape = file.kind(video_id)
    content = io.BytesIO()
    kind = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, kind)
    return content.getvalue()


def size_of(file: FeatureFile, video_id: str) -> int:
    dtype, shape = file.kind(video_id)
    return dtype.itemsize * math.prod(shape)


def times_of(file: FeatureFile) -> dict[str, float | None]:
    """Start and step in seconds; None for what the file doesn't know."""
    known = {name: float(file.attributes[name]) for name in ("start", "step")}
    return {name: None if math.isnan(value) else value for name, value in known.items()}


def tar(file: FeatureFile, names: list[str], path: Path, *, escape_dots: bool) -> None:
    """Write <id>.npy and <id>.json of some videos; owner and time are 0, so that equal features give equal bytes."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for video_id in names:
            dtype, shape = file.kind(video_id)
            told = {"id": video_id, "shape": shape, "dtype": dtype.str, **times_of(file), "spec": json.loads(file.spec)}
            stem = video_id.replace("%", "%25").replace(".", "%2E") if escape_dots else video_id
            header = npy_header(file, video_id)
            entry = tarfile.TarInfo(f"{stem}.npy")
            entry.size = len(header) + size_of(file, video_id)
            archive.addfile(entry, _Joined(header, blocks(file, video_id)))
            content = json.dumps(told, sort_keys=True, ensure_ascii=False).encode()
            entry = tarfile.TarInfo(f"{stem}.json")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


class _Joined(io.RawIOBase):
    """A header and blocks of rows as one stream."""

    def __init__(self, header: bytes, blocks: Iterator[np.ndarray]) -> None:
        self._rest, self._blocks = memoryview(header), blocks

    def read(self, size: int = -1) -> bytes:
        found = bytearray()
        while len(found) < size:
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = block.reshape(-1).view(np.uint8).data
            taken = self._rest[: size - len(found)]
            self._rest = self._rest[len(taken) :]
            found += taken
        return bytes(found)


def parquet(file: FeatureFile, names: list[str], path: Path) -> None:
    """Write the rows of some videos, a row of features in a row of the table; the spec is in the file's metadata."""
    dtype, shape = file.kind(names[0])
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("row", pa.int32()),
            ("start", pa.float64()),
            ("step", pa.float64()),
            ("features", pa.list_(pa.from_numpy_dtype(dtype.newbyteorder("=")), math.prod(shape[1:]))),
        ],
        metadata={"spec": file.spec, "row_shape": json.dumps(shape[1:])},
    )
    times = times_of(file)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["id"]) as to:
        for video_id in names:
            first = 0
            for rows in blocks(file, video_id):
                index = np.arange(first, first + len(rows), dtype=np.int32)
                numbers = pa.array(rows.astype(dtype.newbyteorder("="), copy=False).reshape(-1))
                begin = [
                    None if times["start"] is None or times["step"] is None else times["start"] + times["step"] * i
                    for i in index.tolist()
                ]
                columns = [
                    pa.array([video_id] * len(rows)),
                    pa.array(index),
                    pa.array(begin, pa.float64()),
                    pa.array([times["step"]] * len(rows), pa.float64()),
                    pa.FixedSizeListArray.from_arrays(numbers, type=schema.field("features").type),
                ]
                to.write_table(pa.table(columns, schema=schema))
                first += len(rows)
