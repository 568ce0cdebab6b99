"""A training process killed with -9 and started again → the files of an undisturbed one, byte for byte."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch

from pipeline_lib.config.base import as_dict

PLOT, LOG, CHECKPOINT = "curves.svg", "log.csv", "milo.safetensors"


def start(world, options, folder):
    folder.mkdir(exist_ok=True)
    paths = world.paths
    names = ("captions", "annotations", "objects", "words")
    command = [sys.executable, "-m", "pipeline_lib.coref.train", "--features", str(paths["s3d"]), "--device", "cpu"]
    command += [word for name in names for word in (f"--{name}", str(paths[name]))]
    command += ["--out", str(folder / CHECKPOINT), "--training-log", str(folder / LOG), "--plot", str(folder / PLOT)]
    command += ["--options", json.dumps(as_dict(options))]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def epoch_reached(folder):
    try:
        return torch.load(folder / "training" / "last.pt", weights_only=True)["progress"]["epoch"]
    except (FileNotFoundError, RuntimeError, EOFError):
        return 0


@pytest.mark.slow
def test_killed_in_epoch_two_and_resumed(world, options, tmp_path):
    training = options.training.model_copy(update={"epochs": 40, "save_minutes": 0.0, "batch_videos": 2})
    options = options.model_copy(update={"training": training})
    undisturbed = start(world, options, tmp_path / "undisturbed")
    assert undisturbed.wait() == 0, undisturbed.stderr.read()

    killed = start(world, options, tmp_path / "killed")
    while epoch_reached(tmp_path / "killed") < 2:
        assert killed.poll() is None, killed.stderr.read()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / CHECKPOINT).exists() and epoch_reached(tmp_path / "killed") <= 40

    resumed = start(world, options, tmp_path / "killed")
    messages = resumed.communicate()[1]
    assert resumed.returncode == 0 and "training goes on at epoch" in messages
    for name in (CHECKPOINT, LOG, PLOT):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes(), name
