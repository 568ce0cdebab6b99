"""Arrays, one after the other → the bytes of an HDF5 file with a dataset each, written from front to back.

The HDF5 library needs some 35 µs for a dataset, more than reading and writing the rows of a video takes. So the library
makes what differs between kinds of files, in memory: a file with the attributes alone, and the header of a dataset of each
shape. Here the headers are placed in front of their rows, with the address filled in, and the index of names is written
after the last of them. It is the oldest form of that index, which any HDF5 reads: names in a local heap, symbol nodes
of 8, a version 1 B-tree of 32 children a node (HDF5 File Format Specification 3.0, III.A.1, III.B, III.D and IV.A.1.a).
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import h5py
import numpy as np

FORMAT = ("earliest", "v108")  # lowest and highest HDF5 format to use
ALIGN = 64  # of the first row of an array, so that it can be mapped as numbers of any kind
UNDEFINED = 2**64 - 1
LEAF, CHILDREN = 8, 32  # entries in a symbol node, children of a B-tree node: the library's defaults
EOF_AT, ROOT_AT, CACHED_AT = (
    40,
    64,
    80,
)  # in superblock version 0: end of file, root's header, copy of its two addresses
SYMBOL_TABLE, LAYOUT, CONTINUATION = 0x11, 0x08, 0x10  # kinds of header messages

Buffer = bytes | bytearray | memoryview


class Sink(Protocol):
    """Where bytes go: a file being written, or one that is compared with what would be written."""

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None: ...


class Hdf5Writer:
    """A file in the making; names have to come sorted by their UTF-8 bytes.

    Args:
        sink: where the bytes go.
        attributes: of the root.
    """

    def __init__(self, sink: Sink, attributes: dict[str, str | float]) -> None:
        self._sink = sink
        self._head = bytearray(_empty_file(tuple(attributes.items())))
        self._names: list[bytes] = []
        self._headers: list[int] = []  # addresses
        self._position = len(self._head)
        self._written = self._position  # what comes before is in the sink, but for the head
        self._pending: list[Buffer] = []

    def begin(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        """Start a dataset; its bytes are to follow with `data`."""
        self._place(name, len(_template(dtype, shape)[0]))
        self._append(_header(dtype, shape, self._data))

    def begin_later(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> int:
        """As `begin`, for a dataset whose number of rows isn't known yet: `finish_header` takes what this returns."""
        header = len(_template(dtype, shape)[0])
        self._place(name, header)
        self.flush()
        self._position = self._written = self._data
        return self._data - header

    def finish_header(self, address: int, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        """Write the header of a dataset that `begin_later` has started."""
        self._sink.write(address, [_header(dtype, shape, address + len(_template(dtype, shape)[0]))])

    def data(self, content: Buffer) -> None:
        """Further bytes of the dataset begun last. `content` must stay as it is until `flush`."""
        self._append(content)

    def flush(self) -> None:
        """Hand all that came so far to the sink."""
        self._sink.write(self._written, self._pending)
        self._pending, self._written = [], self._position

    def close(self) -> int:
        """Write the index and the head; returns the length of the file in bytes."""
        if self._names:
            tree, heap = self._index()
            root = int.from_bytes(self._head[ROOT_AT : ROOT_AT + 8], "little")
            for place in (_message(self._head, root, SYMBOL_TABLE), CACHED_AT):
                struct.pack_into("<QQ", self._head, place, tree, heap)
            struct.pack_into("<Q", self._head, EOF_AT, self._position)
        self.flush()
        self._sink.write(0, [self._head])
        return self._position

    def _place(self, name: str, header: int) -> None:
        """Where the next header and its data will stand: the data at a multiple of ALIGN."""
        encoded = name.encode()
        if self._names and encoded <= self._names[-1]:
            raise ValueError(f"{name!r} comes after {self._names[-1]!r}")
        self._data = -(-(self._position + header) // ALIGN) * ALIGN
        self._append(bytes(self._data - header - self._position))
        self._names.append(encoded)
        self._headers.append(self._position)

    def _append(self, content: Buffer) -> int:
        """Put content at the end; returns its address."""
        address = self._position
        if content:
            self._pending.append(content)
            self._position += len(content)
        return address

    def _index(self) -> tuple[int, int]:
        """Write names and addresses of the datasets; returns the addresses of B-tree and heap."""
        self._append(bytes(-self._position % 8))
        heap = bytearray(8)  # offset 0 is the empty name, the lower bound of all
        offsets = []
        for name in self._names:
            offsets.append(len(heap))
            heap += name + bytes(8 - len(name) % 8)
        names = self._append(heap)
        head = self._append(b"HEAP" + bytes(4) + struct.pack("<QQQ", len(heap), 1, names))  # 1: nothing is free

        nodes, last = [], []  # addresses of nodes of a level, offset of the greatest name in each
        for first in range(0, len(offsets), LEAF):
            entries = zip(offsets[first : first + LEAF], self._headers[first : first + LEAF], strict=True)
            packed = b"".join(struct.pack("<QQ24x", *entry) for entry in entries)
            count = len(packed) // 40
            nodes.append(self._append(b"SNOD\1\0" + struct.pack("<H", count) + packed.ljust(40 * LEAF, b"\0")))
            last.append(offsets[first + count - 1])
        level = 0
        while level == 0 or len(nodes) > 1:
            nodes, last = self._tree_level(nodes, last, level)
            level += 1
        return nodes[0], head

    def _tree_level(self, children: list[int], last: list[int], level: int) -> tuple[list[int], list[int]]:
        size = 24 + 8 * (2 * CHILDREN + 1)
        starts = range(0, len(children), CHILDREN)
        addresses = [self._position + i * size for i in range(len(starts))]
        siblings = [UNDEFINED, *addresses, UNDEFINED]
        for i, first in enumerate(starts):
            mine = children[first : first + CHILDREN]
            words = [last[first - 1] if first else 0]
            for child, greatest in zip(mine, last[first : first + CHILDREN], strict=True):
                words += [child, greatest]
            node = b"TREE" + struct.pack("<BBHQQ", 0, level, len(mine), siblings[i], siblings[i + 2])
            self._append((node + struct.pack(f"<{len(words)}Q", *words)).ljust(size, b"\0"))
        return addresses, [last[min(first + CHILDREN, len(last)) - 1] for first in starts]


def _message(content: Buffer, header: int, wanted: int) -> int:
    """Offset of a message's body inside the object header (version 1) at `header`."""
    (size,) = struct.unpack_from("<I", content, header + 8)
    blocks = [(header + 16, size)]
    for start, length in blocks:  # grows when a message tells of a further block
        at = start
        while at < start + length:
            kind, body = struct.unpack_from("<HH", content, at)
            if kind == wanted:
                return at + 8
            if kind == CONTINUATION:
                blocks.append(struct.unpack_from("<QQ", content, at + 8))
            at += 8 + body
    raise ValueError(f"this HDF5 library writes headers without message {wanted:#x}")


def _empty_file(attributes: tuple[tuple[str, str | float], ...]) -> bytes:
    with h5py.File("head", "w", driver="core", backing_store=False, libver=FORMAT) as store:
        store.attrs.update(attributes)
        store.flush()
        image = bytes(store.id.get_file_image())
    if image[8] != 0:
        raise ValueError("this HDF5 library does not write superblocks of version 0")
    return image


@lru_cache(4096)
def _template(dtype: np.dtype, shape: tuple[int, ...]) -> tuple[bytes, int]:
    """Header of a contiguous dataset as the library writes it, and where in it the address of the data stands."""
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_layout(h5py.h5d.CONTIGUOUS)
    create.set_obj_track_times(False)
    with h5py.File("template", "w", driver="core", backing_store=False, libver=FORMAT) as store:
        kind = h5py.h5t.py_create(dtype, logical=True)
        made = h5py.h5d.create(store.id, b"x", kind, h5py.h5s.create_simple(shape), create)
        address = h5py.h5o.get_info(made).addr
        store.flush()
        image = store.id.get_file_image()
    (size,) = struct.unpack_from("<I", image, address + 8)
    header = bytes(image[address : address + 16 + size])
    layout = _message(header, 0, LAYOUT)
    if header[layout : layout + 2] != b"\3\1":  # version 3, contiguous: address and size follow
        raise ValueError("this HDF5 library writes another kind of layout message")
    return header, layout + 2


def _header(dtype: np.dtype, shape: tuple[int, ...], address: int) -> bytes:
    header, place = _template(dtype, shape)
    return header[:place] + struct.pack("<Q", address) + header[place + 8 :]
