import json
import re
import subprocess
import sys
import time

import pytest

from pipeline_lib.collect.limiter import REQUESTS, VIDEOS, Limiter, Refused
from pipeline_lib.config.youtube import Politeness
from pipeline_lib.core.errors import Reason, StopStage

LIMITS = Politeness(
    requests_per_minute=60, burst=3, videos_per_hour=3600, wait=2, max_wait=100, stop_after=4, stop_minutes=30
)


class World:
    """A clock that moves only when somebody sleeps, and the times at which requests were let through."""

    def __init__(self):
        self.now, self.slept = 1000.0, 0.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def world():
    return World()


@pytest.fixture
def limiter(world, tmp_path):
    return Limiter(tmp_path, LIMITS, clock=world.clock, sleep=world.sleep)


def test_a_burst_and_then_one_a_second(limiter, world):
    times = []
    for _ in range(8):
        limiter.acquire(REQUESTS)
        times.append(round(world.now - 1000, 6))
    assert times == [0, 0, 0, 1, 2, 3, 4, 5]
    world.now += 3600
    limiter.acquire(REQUESTS)
    limiter.acquire(REQUESTS)
    limiter.acquire(REQUESTS)
    before = world.now
    limiter.acquire(REQUESTS)
    assert world.now == pytest.approx(before + 1)  # an hour's rest is worth one burst, not an hour's requests


def test_two_buckets_at_once(world, tmp_path):
    slow = LIMITS.model_copy(update={"videos_per_hour": 360, "burst": 1})
    limiter = Limiter(tmp_path, slow, clock=world.clock, sleep=world.sleep)
    for _ in range(3):
        limiter.acquire(REQUESTS, VIDEOS)
    assert world.now - 1000 == pytest.approx(20)  # ten seconds for each video after the first


def test_others_count_too(limiter, world, tmp_path):
    other = Limiter(tmp_path, LIMITS, clock=world.clock, sleep=world.sleep)
    for _ in range(5):
        limiter.acquire(REQUESTS)
        other.acquire(REQUESTS)
    assert world.now - 1000 == pytest.approx(7)  # 10 requests, 3 of them at once


def test_a_clock_set_back_neither_blocks_nor_frees(limiter, world):
    for _ in range(3):
        limiter.acquire(REQUESTS)
    limiter.refused("pages", Refused("429", after=50))
    world.now -= 86400
    before = world.now
    limiter.acquire(REQUESTS)
    assert 50 <= world.now - before <= 52
    limiter.acquire(REQUESTS)
    assert world.now - before <= 53


def test_a_clock_set_forward_gives_one_burst(limiter, world):
    for _ in range(4):
        limiter.acquire(REQUESTS)
    world.now += 1e6
    before = world.now
    for _ in range(5):
        limiter.acquire(REQUESTS)
    assert world.now - before == pytest.approx(2)


def test_retry_after_holds_everybody(limiter, world, tmp_path):
    limiter.refused("pages", Refused("429", after=70))
    other = Limiter(tmp_path, LIMITS, clock=world.clock, sleep=world.sleep)
    other.acquire(REQUESTS)
    assert world.slept == pytest.approx(70)


def test_no_burst_after_a_pause(limiter, world):
    limiter.refused("pages", Refused("429", after=70))
    times = []
    for _ in range(4):
        limiter.acquire(REQUESTS)
        times.append(round(world.now - 1000, 6))
    assert times == [70, 71, 72, 73]


def test_who_already_waits_for_a_token_keeps_a_pause_too(limiter, world, tmp_path):
    refused_at = []

    def sleep(seconds):
        world.sleep(seconds / 2)
        if not refused_at:
            limiter.refused("pages", Refused("429", after=70))
            refused_at.append(world.now)
        world.sleep(seconds / 2)

    other = Limiter(tmp_path, LIMITS, clock=world.clock, sleep=sleep)
    for _ in range(4):  # the last one waits for a second
        other.acquire(REQUESTS)
    assert 70 <= world.now - refused_at[0] <= 71


def test_refusals_without_end_pause_for_max_wait(limiter, world, tmp_path):
    patient = Limiter(tmp_path, LIMITS.model_copy(update={"stop_after": 10_000}), clock=world.clock, sleep=world.sleep)
    for _ in range(1100):
        patient.refused("pages", Refused("429"))
    before = world.now
    patient.acquire(REQUESTS)
    assert 75 <= world.now - before <= 125


def test_pauses_double_with_jitter(limiter, world):
    slept = []
    for _ in range(3):
        limiter.refused("pages", Refused("429"))
        before = world.now
        limiter.acquire(REQUESTS)
        slept.append(world.now - before)
    slept = [slept[0], slept[1] - 1, slept[2] - 1]  # a second for the next token, which a pause doesn't bring
    assert [1.5 <= slept[0] <= 2.5, 3 <= slept[1] <= 5, 6 <= slept[2] <= 10] == [True] * 3


def test_refusals_in_a_row_stop_everybody_until_a_time(limiter, world, tmp_path):
    for _ in range(3):
        limiter.refused("pages", Refused("HTTP 429"))
    with pytest.raises(StopStage, match=r"4 refusals in a row \(pages\).*HTTP 429.*Resume after \d\d:\d\d"):
        limiter.refused("pages", Refused("HTTP 429"))
    other = Limiter(tmp_path, LIMITS, clock=world.clock, sleep=world.sleep)
    with pytest.raises(StopStage, match="Resume after"):
        other.acquire(REQUESTS)
    world.now += 30 * 60 + 1
    other.acquire(REQUESTS)
    with pytest.raises(StopStage):  # still refused: one is enough now
        other.refused("pages", Refused("HTTP 429"))
    world.now += 30 * 60 + 1
    other.answered("pages")
    other.refused("pages", Refused("HTTP 429"))  # after a good answer the count starts anew


def test_an_answer_in_between_resets_its_own_kind_only(limiter):
    for _ in range(3):
        limiter.refused("captions", Refused("429"))
        limiter.answered("pages")
    with pytest.raises(StopStage):
        limiter.refused("captions", Refused("429"))
    assert limiter.answers() == 3


def test_who_is_told_to_wait_too_long_stops_until_then(limiter, world):
    with pytest.raises(StopStage):
        limiter.refused("pages", Refused("429", after=7200))
    world.now += 7100
    with pytest.raises(StopStage):
        limiter.acquire(REQUESTS)
    world.now += 101
    limiter.acquire(REQUESTS)


def test_the_hour_is_the_right_one(tmp_path):
    limiter = Limiter(tmp_path, LIMITS)
    with pytest.raises(StopStage) as stop:
        limiter.refused("pages", Refused("429", after=7200))
    wanted = {time.strftime("%H:%M", time.localtime(time.time() + 7200 - slack)) for slack in (0, 30)}
    assert re.search(r"after (\d\d:\d\d)", str(stop.value))[1] in wanted


def test_a_torn_state_begins_without_credit(limiter, world, tmp_path):
    limiter.acquire(REQUESTS)
    (tmp_path / "limiter.json").write_text('{"at": 1')
    limiter.acquire(REQUESTS)
    assert world.slept == pytest.approx(1)
    assert json.loads((tmp_path / "limiter.json").read_text())["tokens"]["requests"] <= 0


def test_refusals_are_reasons():
    assert Refused("x").reason == Reason.RATE_LIMITED
    assert Refused("x", reason=Reason.REQUEST_BLOCKED).reason == Reason.REQUEST_BLOCKED


RACER = """
import sys, time
from pathlib import Path
from pipeline_lib.collect.limiter import REQUESTS, Limiter
from pipeline_lib.config.youtube import Politeness
limiter = Limiter(Path(sys.argv[1]), Politeness(requests_per_minute=1200, burst=2))
print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
for _ in range(20):
    limiter.acquire(REQUESTS)
    print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
"""


def test_processes_that_race_stay_under_the_limit_together(tmp_path):
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    times = [[float(line) for line in racer.communicate()[0].split()] for racer in racers]
    assert all(racer.returncode == 0 for racer in racers)
    start = min(seen[0] for seen in times)
    let_through = sorted(moment for seen in times for moment in seen[1:])
    assert len(let_through) == 60
    for count, moment in enumerate(let_through, 1):  # none before its token existed
        assert count <= 2 + 20 * (moment - start) + 0.1
