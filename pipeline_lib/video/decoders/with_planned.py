"""Places in a video's index → pictures, by PyAV, decoding little more than what those pictures are made from.

Of the packets behind a keyframe only those up to the last wanted one are decoded, and of these none that no other refers
to, unless it is wanted itself. That halves the work on usual H.264 files, and the pictures are those of a full decode,
which tests compare.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from pipeline_lib.video.decoders import Unplanned
from pipeline_lib.video.plan import Index, only_video
from pipeline_lib.video.probe import open_video, prepare

#: Codecs whose decoder tells frames without dependants by a flag that is sure (nal_ref_idc of H.264).
SKIPPING = {"h264"}


def pictures(path: Path, index: Index, places: Sequence[int]) -> Iterator[av.VideoFrame]:
    """Yield the picture at every place.

    Raises:
        Unplanned: a picture doesn't come out where the index has it.
    """
    if not len(places):
        return
    wanted = index.pts[np.asarray(places, np.int64)]
    owners = np.searchsorted(index.entries, wanted, side="right") - 1  # of each, the last keyframe at or before it
    with open_video(path) as container:
        prepare(only_video(container))
        due = iter(wanted.tolist())
        missing = next(due, None)
        latest = -(2**63)
        try:
            for picture in _decoded(container, index, wanted, owners):
                if picture.pts is None or picture.pts <= latest:
                    raise Unplanned(f"a picture at {picture.pts} is shown after one at {latest}")
                latest = picture.pts
                if picture.pts == missing and not picture.is_corrupt:
                    yield picture
                    missing = next(due, None)
        except (av.FFmpegError, ValueError) as error:
            raise Unplanned(str(error)) from None
        if missing is not None:
            raise Unplanned(f"no picture at {missing}")


def _decoded(
    container: InputContainer, index: Index, wanted: np.ndarray, owners: np.ndarray
) -> Iterator[av.VideoFrame]:
    """The wanted pictures and some more, in order.

    Packets are read once from start to end, which costs nearly nothing beside decoding, and those needed are decoded.
    """
    stream = container.streams.video[0]
    codec = stream.codec_context
    skipping = index.codec in SKIPPING
    targets = set(wanted.tolist())
    entries, firsts = np.unique(owners, return_index=True)
    groups = ((int(one), set(part.tolist())) for one, part in zip(entries, np.split(wanted, firsts[1:]), strict=True))
    owner, due = next(groups)  # a keyframe, and what is wanted behind it and not decoded yet
    decoding = gap = False
    fed: set[int] = set()  # keyframes since decoding began
    for packet in container.demux(stream):
        if not packet.size:
            break
        if not decoding:
            if packet.pts != index.entries[owner]:
                gap = True
                continue
            decoding = True
            fed.clear()
            if gap and not index.fresh[owner]:
                yield from codec.decode(None)
                codec.flush_buffers()
            gap = False
        if skipping:
            codec.skip_frame = "DEFAULT" if packet.pts in targets else "NONREF"
        yield from codec.decode(packet)
        if packet.is_keyframe and packet.pts is not None:
            fed.add(packet.pts)
        due.discard(packet.pts)
        while not due and owner >= 0:  # what they are made from has come before them
            owner, due = next(groups, (-1, due))
            due -= fed
            # The next keyframe comes earlier than this packet when this one is shown before but made from both.
            decoding = owner >= 0 and int(index.entries[owner]) in fed
        if owner < 0:
            break
    yield from codec.decode(None)
