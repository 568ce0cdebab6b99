"""GPUs in whole runs on a machine that needn't have any: how many jobs run at once, and what a job without one does."""

import re

import pytest
import torch
from workflow_project import TINY

pytestmark = pytest.mark.slow

AGAIN = ("--forcerun", "s3d", "--until", "s3d")


def test_as_many_jobs_at_a_time_as_there_are_gpus(project):
    """Two jobs that ask for a GPU each, one GPU: the second begins when the first has ended."""
    project.configure(features={**TINY["features"], "gpus": 1})
    said = project.run(*AGAIN, "--resources", "gpu=1").stdout
    events = re.findall(r"^(?:local)?(rule s3d):|^(Finished) jobid: \d+ \(Rule: s3d\)", said, re.MULTILINE)
    assert ["".join(one) for one in events] == ["rule s3d", "Finished"] * 2
    log = (project.folder / "work/logs/s3d/0000.log").read_text()
    assert "computing on cuda" in log or "computing on the CPU: PyTorch sees no GPU" in log


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_job_that_is_to_have_a_gpu_never_falls_back(project):
    project.configure(features={**TINY["features"], "device": "cuda"})
    done = project.run("--until", "s3d", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "error: device = 'cuda': 0 GPUs are visible here; use auto or cpu" in done.stdout
