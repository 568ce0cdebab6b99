"""Training by several processes, started by torchrun as a user would, on a CPU."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from torch.distributed.run import parse_args

SCRIPT = """
import json, sys, time
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from conftest import Line
from pipeline_lib.config.training import Training
from pipeline_lib.core import device
from pipeline_lib.training.loop import fit
from pipeline_lib.training.ranks import together

device.deterministic()
out, accumulate, stop = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "stop"

def at_batch(epoch, index):
    if stop and epoch == 2:
        raise RuntimeError("killed")

with together("cpu") as (ranks, where):
    options = Training(epochs=3, learning_rate=0.3, accumulate=accumulate)
    task = Line(at_batch)
    found = fit(task, options, where, out, {}, ranks)
    (out / f"made_{ranks.rank}.json").write_text(json.dumps(task.made))
    if ranks.first:
        weights = {name: value.tolist() for name, value in found.state.items()}
        (out / "found.json").write_text(json.dumps({"epoch": found.epoch, "rows": found.rows, "weights": weights}))
"""


def run(folder: Path, processes: int, accumulate: int = 4, stop: str = "") -> dict:
    folder.mkdir(exist_ok=True)
    script = folder / "train.py"
    script.write_text(SCRIPT)
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes else []
    command = [
        sys.executable,
        *start,
        str(script),
        str(Path(__file__).parent),
        str(folder),
        str(accumulate),
        stop or "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads((folder / "found.json").read_text())


def close(a: dict, b: dict) -> None:
    assert a["epoch"] == b["epoch"]
    assert len(a["rows"]) == len(b["rows"]) == 4
    for one, other in zip(a["rows"][1:], b["rows"][1:], strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert a["weights"]["1.weight"][0] == pytest.approx(b["weights"]["1.weight"][0], rel=1e-4)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_share_the_batches(tmp_path):
    one, two = run(tmp_path / "one", 0), run(tmp_path / "two", 2)
    close(one, two)
    made = [json.loads((tmp_path / "two" / f"made_{rank}.json").read_text()) for rank in (0, 1)]
    assert {index for _, index in made[0]} == {0, 2, 4, 6} and {index for _, index in made[1]} == {1, 3, 5, 7}


@pytest.mark.slow
def test_a_group_that_does_not_divide_evenly_and_a_resumed_run(tmp_path):
    """Groups of 7 and 1 batches over two processes, one of which has none of the latter; killed in epoch 2, resumed by one."""
    one = run(tmp_path / "one", 0, accumulate=7)
    close(one, run(tmp_path / "two", 2, accumulate=7))
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "killed", 2, accumulate=7, stop="stop")
    close(one, run(tmp_path / "killed", 0, accumulate=7))


@pytest.mark.slow
def test_too_few_batches_for_the_processes(tmp_path):
    with pytest.raises(RuntimeError, match="can't occupy 2 processes"):
        run(tmp_path, 2, accumulate=1)


@pytest.mark.parametrize("task", ["coref", "retrieval", "moments"])
def test_torchrun_hands_on_every_option(task):
    """It takes options that begin its own ones, as `--log` does, for itself, also behind the module's name."""
    app = typer.Typer()
    app.command()(import_module(f"pipeline_lib.{task}.train").main)
    options = [name for option in typer.main.get_command(app).params for name in option.opts if name.startswith("--")]
    words = [word for name in options for word in (name, "x")]
    told = parse_args(["--standalone", "--nproc-per-node", "2", "-m", f"pipeline_lib.{task}.train", *words])
    assert len(options) > 5 and told.training_script_args == words
