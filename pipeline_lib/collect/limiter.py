"""A folder that processes and hosts share → when the next request may be sent, and whether any may be sent at all.

<folder>/limiter.json   token buckets, the pause that a site asked for, refusals in a row; rewritten under limiter.lock

All times are those of the folder's own clock (the time that a touched file gets), so hosts whose clocks differ agree. A clock
that jumps costs little: forwards at most one burst of requests, backwards nothing but a pause that starts anew.
"""

import contextlib
import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from pipeline_lib.config.youtube import Politeness
from pipeline_lib.core.errors import ItemError, Reason, StopStage

log = logging.getLogger(__name__)

REQUESTS, VIDEOS = "requests", "videos"
STEP = 30.0  # seconds of sleep after which the state is read again: another process may have stopped everything


class Refused(ItemError):
    """The site answers, but not now: 429, or it takes us for a robot. `after`: seconds it asks to wait, if it says so."""

    def __init__(self, detail: str, after: float | None = None, reason: Reason = Reason.RATE_LIMITED) -> None:
        super().__init__(reason, detail)
        self.after = after


@dataclass
class Span:
    """A stretch of time in which nothing is sent; kept as start and length, so that a clock set back can't prolong it."""

    start: float = 0.0
    seconds: float = 0.0

    def left(self, now: float) -> float:
        """Seconds until it ends."""
        if self.start > now:  # the clock was set back
            self.start = now
        return max(0.0, self.start + self.seconds - now)


@dataclass
class State:
    """What the processes share."""

    at: float = 0.0  # when the buckets were last filled
    tokens: dict[str, float] = field(default_factory=dict)
    pause: Span = field(default_factory=Span)
    stopped: Span = field(default_factory=Span)
    why: str = ""  # of the stop
    refusals: dict[str, int] = field(default_factory=dict)  # in a row, by what was asked for
    served: dict[str, int] = field(default_factory=dict)  # good answers ever


class Limiter:
    """One limit for everybody who gives the same folder."""

    def __init__(
        self,
        folder: Path,
        limits: Politeness,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._limits = folder, limits
        self._clock, self._sleep = clock or self._folder_time, sleep
        self._lock = FileLock(folder / "limiter.lock")
        self._rates = {  # tokens per second, and how many a bucket holds
            REQUESTS: (limits.requests_per_minute / 60, float(limits.burst)),
            VIDEOS: (limits.videos_per_hour / 3600, float(limits.burst)),
        }

    def acquire(self, *buckets: str) -> None:
        """Wait until one more request may be sent, and count it. Raises StopStage while everything is stopped.

        Who waits for a token when a pause begins waits on after it: the requests stay as far apart as they were.
        """
        wait: float | None = None  # seconds until the token is there; None before it is taken
        while True:
            with self._state(write=wait is None) as (state, now):
                self._raise_if_stopped(state, now)
                paused = state.pause.left(now)
                if not paused and wait is None:
                    wait = max(self._take(state, bucket) for bucket in buckets)
            if not paused and not wait:
                return
            step = min(paused or wait or 0.0, STEP)
            self._sleep(step)
            if not paused and wait:
                wait -= step

    def refused(self, what: str, refusal: Refused) -> None:
        """Note a refusal: everybody pauses. Raises StopStage when it is one too many, or the pause asked for is too long."""
        limits = self._limits
        with self._state() as (state, now):
            row = state.refusals[what] = state.refusals.get(what, 0) + 1
            pause = min(limits.wait * 2.0 ** min(row - 1, 60), limits.max_wait) * random.uniform(0.75, 1.25)
            pause = max(pause, refusal.after or 0.0)
            if row >= limits.stop_after or (refusal.after or 0.0) > limits.max_wait:
                state.stopped = Span(now, max(60 * limits.stop_minutes, refusal.after or 0.0))
                state.why = f"{row} refusals in a row ({what}), the last: {refusal.detail}"
                state.refusals[what] = limits.stop_after - 1  # afterwards the first refusal stops again
            elif pause > state.pause.left(now):
                state.pause = Span(now, pause)
            state.tokens = {bucket: min(tokens, 1.0) for bucket, tokens in state.tokens.items()}  # no burst afterwards
            self._raise_if_stopped(state, now, write=state)
        log.info("refused (%s); pausing %.0f s", refusal.detail or refusal.reason, pause)

    def answered(self, what: str) -> None:
        """Note a good answer: refusals no longer stand in a row."""
        with self._state() as (state, _):
            state.refusals.pop(what, None)
            state.served[what] = state.served.get(what, 0) + 1

    def answers(self) -> int:
        """How many good answers anybody has had so far."""
        with self._state(write=False) as (state, _):
            return sum(state.served.values())

    def _take(self, state: State, bucket: str) -> float:
        """Take a token, on credit if there is none; seconds until it is there."""
        rate, _ = self._rates[bucket]
        state.tokens[bucket] -= 1
        return max(0.0, -state.tokens[bucket] / rate)

    def _fill(self, state: State, now: float) -> None:
        """Add the tokens of the time since they were last added; a pause brings none."""
        passed = max(0.0, now - max(state.at, state.pause.start + state.pause.seconds))
        for bucket, (rate, size) in self._rates.items():
            state.tokens[bucket] = min(size, state.tokens.get(bucket, size) + passed * rate)
        state.at = now

    def _raise_if_stopped(self, state: State, now: float, write: State | None = None) -> None:
        left = state.stopped.left(now)
        if left <= 0:
            return
        if write is not None:
            self._save(write)
        end = time.localtime(time.time() + left)
        day = "" if end.tm_yday == time.localtime().tm_yday else time.strftime(" on %Y-%m-%d", end)
        raise StopStage(
            f"YouTube refuses requests: {state.why}. Resume after {time.strftime('%H:%M', end)}{day} with the same"
            " command; nothing done is lost, and no video was charged with it"
        )

    @contextlib.contextmanager
    def _state(self, write: bool = True) -> Iterator[tuple[State, float]]:
        """The state with its buckets filled, and the time; the lock is held, and changes are kept unless it raises."""
        with self._lock:
            now = self._clock()
            state = self._load(now)
            self._fill(state, now)
            yield state, now
            if write:
                self._save(state)

    def _load(self, now: float) -> State:
        path = self._folder / "limiter.json"
        try:
            values = json.loads(path.read_text())
            pause, stopped = Span(**values.pop("pause")), Span(**values.pop("stopped"))
            return State(**values, pause=pause, stopped=stopped)
        except FileNotFoundError:
            return State(at=now)
        except (ValueError, TypeError, KeyError):  # torn by a power cut: begin without credit
            return State(at=now, tokens=dict.fromkeys(self._rates, 0.0))

    def _save(self, state: State) -> None:
        temporary = self._folder / "limiter.json.new"  # only the lock's holder writes it
        temporary.write_text(json.dumps(asdict(state), allow_nan=False))
        os.replace(temporary, self._folder / "limiter.json")

    def _folder_time(self) -> float:
        path = self._folder / "limiter.clock"
        path.touch()
        return path.stat().st_mtime_ns / 1e9
