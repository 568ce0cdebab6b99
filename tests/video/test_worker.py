import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline_lib.config.video import Limits
from pipeline_lib.core.errors import ItemError
from pipeline_lib.video import decode, worker
from pipeline_lib.video.probe import probe
from pipeline_lib.video.sampling import Sampling
from pipeline_lib.video.worker import Worker


def reason(error):
    return error.value.reason


def test_the_same_frames_as_in_this_process(video):
    with Worker() as one:
        for sampling in (Sampling(0.75), Sampling(0.2, "ffmpeg", "scale=32:24")):
            theirs, ours = list(one.frames(video, sampling)), list(decode.frames(video, sampling))
            assert [(f.index, f.wanted, f.time, f.size) for f in theirs] == [
                (f.index, f.wanted, f.time, f.size) for f in ours
            ]
            assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(theirs, ours, strict=True))
        assert one.probe(video) == probe(video)


def test_a_frame_costs_three_reads(video, monkeypatch):
    """Not one per letter of what is said of it: with many small frames that was the limit, whatever the decoders."""
    reads, receive = [], Worker._receive
    monkeypatch.setattr(Worker, "_receive", lambda one, count: reads.append(count) or receive(one, count))
    with Worker() as one:
        one.probe(video)
        reads.clear()
        assert len(list(one.frames(video, Sampling(0.1, filters="scale=8:8")))) == 40
    assert len(reads) == 2 + 3 * 40 + 2  # the probe's answer, the frames, the end


def test_a_bad_file_has_its_reason_and_the_next_one_works(tmp_path, video):
    (tmp_path / "x.mp4").write_bytes(b"\x13\x37" * 500)
    with Worker() as one:
        with pytest.raises(ItemError) as error:
            list(one.frames(tmp_path / "x.mp4", Sampling(1.0)))
        assert reason(error) == "not_a_video"
        assert len(list(one.frames(video, Sampling(1.0)))) == 4


def test_whoever_stops_early_gets_the_right_frames_next(video):
    with Worker() as one:
        for _ in range(2):
            assert next(one.frames(video, Sampling(0.1))).index == 0
        assert [f.index for f in one.frames(video, Sampling(1.0))] == [0, 1, 2, 3]


def test_limits_of_pixels_and_seconds(video):
    for limits, expected in ((Limits(pixels=64 * 47), "too_large"), (Limits(seconds=3.0), "too_long")):
        with Worker(limits) as one, pytest.raises(ItemError) as error:
            list(one.frames(video, Sampling(1.0)))
        assert reason(error) == expected


def serving(monkeypatch, body):
    """Let workers run `body` in place of the decoder, after they have said that they are ready."""
    code = f"import os, signal, sys, time\nos.write(1, bytes([0, 0, 0, 2]) + b'{{}}')\nsys.stdin.readline()\n{body}"

    def start(limits):
        return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    monkeypatch.setattr(worker, "_start", start)


def test_a_crash_is_a_reason(monkeypatch, video):
    serving(monkeypatch, "os.kill(os.getpid(), signal.SIGSEGV)")
    with Worker() as one, pytest.raises(ItemError, match="SIGSEGV") as error:
        list(one.frames(video, Sampling(1.0)))
    assert reason(error) == "decoder_crash"
    monkeypatch.undo()
    assert len(list(one.frames(video, Sampling(1.0)))) == 4
    one.close()


def test_a_hang_is_a_reason(monkeypatch, video):
    serving(monkeypatch, "time.sleep(60)")
    began = time.monotonic()
    with Worker(Limits(wall=0.5)) as one, pytest.raises(ItemError) as error:
        list(one.frames(video, Sampling(1.0)))
    assert reason(error) == "decode_timeout" and time.monotonic() - began < 20


def test_answers_in_drops_are_a_hang(monkeypatch, video):
    """The limit is one of all waiting for a video, not of every read."""
    serving(monkeypatch, "for _ in range(60):\n    os.write(1, b'1')\n    time.sleep(0.1)")
    with Worker(Limits(wall=0.5)) as one, pytest.raises(ItemError) as error:
        list(one.frames(video, Sampling(1.0)))
    assert reason(error) == "decode_timeout"


def test_a_slow_user_of_frames_is_no_hang(video):
    with Worker(Limits(wall=1.0, wall_per_second=0.0)) as one:
        one.probe(video)
        count = 0
        for _ in one.frames(video, Sampling(1.0)):
            time.sleep(0.4)
            count += 1
    assert count == 4


def test_a_video_that_takes_too_much_memory_is_too_large(make_video, tmp_path):
    wide = make_video(tmp_path / "wide.mp4", seconds=1, size=(4096, 2304), preset="ultrafast")
    with Worker(Limits(memory_mb=120)) as one, pytest.raises(ItemError) as error:
        list(one.frames(wide, Sampling(0.1)))
    assert reason(error) in ("too_large", "undecodable", "decoder_crash")


def test_prints_of_libraries_dont_disturb_the_answers(video, monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", "")
    with Worker() as one:
        one.probe(video)
        assert one._process is not None
        open_files = Path("/proc", str(one._process.pid), "fd")
        assert (open_files / "1").readlink() == (open_files / "2").readlink()


def test_a_worker_ends_with_its_parent(video):
    code = (
        "import sys, time; from pathlib import Path; from pipeline_lib.video.worker import Worker\n"
        f"w = Worker(); w.probe(Path({str(video)!r})); print(w._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{child}/stat") as stream:
            if stream.read().split(")")[-1].split()[0] == "Z":
                return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


def test_memory_does_not_grow_with_the_number_of_frames(video):
    with Worker() as one:
        list(one.frames(video, Sampling(0.01)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for frame in one.frames(video, Sampling(0.0005, filters="scale=320:240")):
            assert frame.pixels.nbytes == 230400
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.slow
def test_three_hours_take_little_memory(video, tmp_path):
    """The four seconds of the test video 2 700 times over: 108 000 frames, of which 3 600 are shown."""
    long = tmp_path / "long.mp4"
    with av.open(str(long), "w") as new:
        stream = None
        for turn in range(2700):
            with av.open(str(video)) as old:
                source = old.streams.video[0]
                stream = stream or new.add_stream_from_template(source)
                for packet in old.demux(source):
                    if packet.dts is not None:
                        packet.pts += turn * round(4 / source.time_base)
                        packet.dts += turn * round(4 / source.time_base)
                        packet.stream = stream
                        new.mux(packet)
    with Worker() as one:
        times = [frame.time for frame in one.frames(long, Sampling(3.0))]
        status = Path("/proc", str(one._process.pid), "status").read_text()
    assert times == pytest.approx([3.0 * i for i in range(3600)])
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    assert peak < 300, f"{peak:.0f} MB"
