"""Video file → frames, decoded in a process of its own with limits: a crash or a hang costs one video, not the job.

    with Worker() as worker:
        for frame in worker.frames(path, Sampling(every=3.0)):
            …

The process is started once and again after a crash. It is sent a line of JSON per request and answers with texts of JSON
behind their lengths, those of frames followed by their bytes; nothing it sends is executed, so a decoder that a hostile
file has taken over gains nothing here. While a frame is being used the next ones are decoded, as far as the pipe holds them.
"""

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from pipeline_lib.config.video import Limits
from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.decode import Frame, frames, numbered
from pipeline_lib.video.filters import Filters, rotation, upright_size
from pipeline_lib.video.probe import VideoInfo, probe
from pipeline_lib.video.sampling import Sampling

PIPE = 1 << 20  # bytes that a pipe holds, where the system allows it
LENGTH = 4  # bytes of a text's length; to look for its end byte by byte cost more than all else here
STARTING = 60.0  # seconds that a worker may take to import what it needs


class Worker:
    """A decoding process. Not for use by several threads at once."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._left = 0.0  # seconds that may still be waited for the current answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def probe(self, path: Path) -> VideoInfo:
        """As probe.probe, within the limits.

        Raises:
            ItemError: also too_large or too_long.
        """
        info = VideoInfo(**self._ask("probe", path)["value"])
        if info.width * info.height > self.limits.pixels:
            raise ItemError(Reason.TOO_LARGE, f"{info.width}×{info.height}; the limit is {self.limits.pixels} pixels")
        if info.duration > self.limits.seconds:
            raise ItemError(Reason.TOO_LONG, f"{info.duration:.0f} s; the limit is {self.limits.seconds:.0f} s")
        return info

    def frames(self, path: Path, sampling: Sampling) -> Iterator[Frame]:
        """As decode.frames, within the limits: the same frames.

        Raises:
            ItemError: also too_large, too_long, decode_timeout or decoder_crash.
        """
        info = self.probe(path)
        yield from self._stream("frames", path, info.duration * self.limits.wall_per_second, **asdict(sampling))

    def numbered(self, path: Path, numbers: Sequence[int]) -> Iterator[Frame]:
        """As decode.numbered, within the limits, upright: `index` is the frame's number.

        Raises:
            ItemError: as `frames`.
        """
        info = self.probe(path)
        allowance = info.duration * self.limits.wall_per_second
        yield from self._stream("numbered", path, allowance, numbers=[int(number) for number in numbers])

    def _stream(self, what: str, path: Path, allowance: float, **arguments: Any) -> Iterator[Frame]:
        """The frames of an answer."""
        answer = self._ask(what, path, allowance, **arguments)
        finished = False
        try:
            while "frame" in answer:
                height, width = answer["shape"]
                pixels = np.frombuffer(self._receive(3 * height * width), np.uint8).reshape(height, width, 3)
                yield Frame(**answer["frame"] | {"size": tuple(answer["frame"]["size"])}, pixels=pixels)
                answer = self._answer()
            finished = True
        except ItemError:
            finished = True
            raise
        finally:
            if not finished:  # the caller has had enough: what is still in the pipe must not answer the next request
                self.close()

    def call(self, function: Callable[..., Any], path: Path, allowance: float = 0.0, **arguments: Any) -> Any:
        """The value of `function(path, **arguments)`, called in the process: for work whose frames needn't come here.

        Args:
            function: of a module that is imported by name; arguments and value are what JSON can say.
            allowance: seconds that it may take beyond `limits.wall`.

        Raises:
            ItemError: what the function raises, else as `frames`.
        """
        name = f"{function.__module__}:{function.__name__}"
        return self._ask("call", path, allowance=allowance, function=name, arguments=arguments)["value"]

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()

    def _ask(self, what: str, path: Path, allowance: float = 0.0, **arguments: Any) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = _start(self.limits)
            self._left = STARTING
            self._answer()
        assert self._process.stdin is not None
        self._left = self.limits.wall + allowance
        request = {"do": what, "path": str(path.absolute()), **arguments}
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        """The next text, parsed; raises what it says went wrong."""
        answer: dict[str, Any] = json.loads(self._receive(int.from_bytes(self._receive(LENGTH), "big")))
        if "reason" in answer:
            raise ItemError(answer["reason"], answer["detail"])
        return answer

    def _receive(self, count: int) -> bytearray:
        """Exactly `count` bytes, waiting no longer than is left."""
        assert self._process is not None and self._process.stdout is not None
        stream = self._process.stdout
        content = bytearray(count)
        view = memoryview(content)
        while view:
            began = time.monotonic()
            if not select.select([stream], [], [], max(0.0, self._left))[0]:
                self.close()
                raise ItemError(Reason.DECODE_TIMEOUT, "the decoder took longer than video.limits allow; it was ended")
            self._left -= time.monotonic() - began
            got = os.readv(stream.fileno(), [view])
            if not got:
                raise self._died()
            view = view[got:]
        return content

    def _died(self) -> ItemError:
        """What became of a process that closed its pipe."""
        assert self._process is not None
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = 0
        self.close()
        what = signal.Signals(-status).name if status < 0 else f"status {status}"
        return ItemError(Reason.DECODER_CRASH, f"the decoding process ended with {what}")


def _start(limits: Limits) -> "subprocess.Popen[bytes]":
    """A process that runs `_serve`; it shares this one's standard error and dies with its pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(limits.memory_mb << 20)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE)
    return process


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""

    def say(**content: Any) -> None:
        text = json.dumps(content).encode()
        answers.write(len(text).to_bytes(LENGTH, "big") + text)

    say(ready=True)
    answers.flush()
    for line in requests:
        request = json.loads(line)
        what, path = request.pop("do"), Path(request.pop("path"))
        try:
            if what == "probe":
                say(value=asdict(probe(path)))
            elif what == "call":
                module, _, name = request["function"].partition(":")
                say(value=getattr(import_module(module), name)(path, **request["arguments"]))
            else:
                shown = frames(path, Sampling(**request)) if what == "frames" else _numbered(path, **request)
                for frame in shown:
                    told = {"index": frame.index, "wanted": frame.wanted, "time": frame.time, "size": frame.size}
                    say(frame=told, shape=frame.pixels.shape[:2])
                    answers.write(np.ascontiguousarray(frame.pixels).data)
                    answers.flush()
                say(end=True)
        except ItemError as error:
            say(reason=error.reason, detail=error.detail)
        except MemoryError:
            say(reason=Reason.TOO_LARGE, detail="decoding takes more memory than video.limits allow")
        except Exception as error:
            say(reason=Reason.INTERNAL, detail=f"{type(error).__name__}: {error}")
        answers.flush()


def _numbered(path: Path, numbers: list[int]) -> Iterator[Frame]:
    """The frames with these numbers."""
    upright = Filters()
    for number, picture in zip(numbers, numbered(path, numbers), strict=False):
        size = upright_size(picture.width, picture.height, rotation(picture))
        yield Frame(number, picture.time or 0.0, picture.time or 0.0, size, upright(picture))


def _main(memory: int) -> None:
    """Take the limits, keep the pipe to the parent from stray prints, and serve."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    with os.fdopen(os.dup(1), "wb", buffering=PIPE) as answers:
        os.dup2(2, 1)
        with contextlib.suppress(BrokenPipeError):
            _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
