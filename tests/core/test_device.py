import multiprocessing
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from pipeline_lib.core import device
from pipeline_lib.core import lease as leases
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.lease import lease


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """A function that makes PyTorch see so many GPUs; their leases lie in a folder of their own."""

    def see(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(
            torch.cuda, "get_device_properties", lambda one: SimpleNamespace(uuid=f"GPU-{one}", name="H200")
        )

    monkeypatch.setattr(device, "folder", lambda: tmp_path)
    return see


def test_the_cpu_is_taken_only_when_asked_for_or_by_auto_which_says_so(gpus, caplog):
    caplog.set_level("INFO")
    gpus(0)
    assert device.choose("cpu") == torch.device("cpu") and caplog.messages == ["computing on the CPU"]
    assert device.choose("auto") == torch.device("cpu")
    assert caplog.messages[-1] == "computing on the CPU: PyTorch sees no GPU"
    for missing in ("cuda", "cuda:0"):
        with pytest.raises(UserError, match=f"device = '{missing}': 0 GPUs are visible here; use auto or cpu"):
            device.choose(missing)
    for wrong in ("gpu", "meta", ""):
        with pytest.raises(UserError, match="use auto, cpu, cuda"):
            device.choose(wrong)


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_of_several_gpus_the_freest_is_taken(gpus, caplog, wanted):
    caplog.set_level("INFO")
    gpus(2)
    assert [device.choose(wanted).index for _ in range(3)] == [0, 1, 0]
    assert caplog.messages[-1] == "computing on cuda:0, H200"
    assert device.choose("cuda:1").index == 1
    with pytest.raises(UserError, match="2 GPUs are visible"):
        device.choose("cuda:2")
    gpus(1)
    assert device.choose(wanted) == torch.device("cuda:0")


def test_deterministic_fixes_the_threads():
    device.deterministic()
    assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()


FORK = multiprocessing.get_context("fork")  # PyTorch is there already: importing it takes longer than all else here


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A function that starts a job which sees some GPUs, made up, → its process and the one that it took and holds."""
    started = []

    def hold(visible, wanted, taken):
        seen = [int(one) for one in visible.split(",")]
        torch.cuda.is_available = lambda: True
        torch.cuda.device_count = lambda: len(seen)
        torch.cuda.get_device_properties = lambda one: SimpleNamespace(
            uuid=f"GPU-{seen[getattr(one, 'index', one)]}", name="made up"
        )
        taken.put(seen[device.choose(wanted).index])
        signal.pause()

    def start(visible, wanted="auto"):
        taken = FORK.Queue()
        started.append(FORK.Process(target=hold, args=(visible, wanted, taken)))
        started[-1].start()
        return started[-1], taken.get(timeout=60)

    monkeypatch.setattr(device, "folder", lambda: tmp_path)
    yield start
    for process in started:
        process.kill()
        process.join()


def test_jobs_spread_over_gpus_and_a_killed_one_frees_its_own(job):
    jobs = [job("0,1") for _ in range(4)]
    assert [gpu for _, gpu in jobs] == [0, 1, 0, 1]
    for killed, gpu in (jobs[1], jobs[2]):
        killed.kill()
        killed.join()
        assert job("0,1")[1] == gpu


def test_what_slurm_lets_a_job_see_is_respected_and_counted(job):
    """Two jobs that see one GPU each, and one that sees both and a third: it takes the one that nobody has."""
    assert job("1")[1] == 1 and job("0")[1] == 0
    assert job("1,0,2", "cuda")[1] == 2
    assert job("0", "cuda")[1] == 0  # more jobs than GPUs: they share
    assert job("0,1")[1] == 1


def test_a_race_of_jobs_shares_evenly(tmp_path):
    """Processes forked at one moment, twice as many as GPUs."""
    taken, end = FORK.Queue(), FORK.Event()

    def take():
        taken.put(lease(["a", "b", "c"], tmp_path))
        end.wait(60)

    racers = [FORK.Process(target=take) for _ in range(6)]
    for one in racers:
        one.start()
    assert sorted(taken.get(timeout=60) for _ in racers) == [0, 0, 1, 1, 2, 2]
    end.set()
    for one in racers:
        one.join()


def test_who_counts_holders_is_alone(tmp_path, monkeypatch):
    """However long counting takes, no two take what looked free to both."""
    count = leases._holders
    monkeypatch.setattr(leases, "_holders", lambda *of: (count(*of), time.sleep(0.01))[0])
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: lease(list("abcd"), tmp_path), range(4))) == [0, 1, 2, 3]


def test_precisions():
    cpu = torch.device("cpu")
    assert device.dtype("bf16", cpu) is torch.bfloat16 and device.dtype("fp16", torch.device("cuda")) is torch.float16
    with pytest.raises(UserError, match="needs a GPU"):
        device.dtype("fp16", cpu)
    with pytest.raises(UserError, match="use fp32"):
        device.dtype("fp8", cpu)
