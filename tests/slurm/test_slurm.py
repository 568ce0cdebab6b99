"""The smallest demo through `--executor slurm` on a real SLURM: undisturbed, and with everything that happens to jobs."""

import contextlib
import os
import signal
import subprocess
import time

import psutil
import pytest

from pipeline_lib.core import files, ledger

pytestmark = pytest.mark.slow

STAGES = ("articles", "captions", "videos", "due_diligence", "frames", "objects", "s3d")
NETWORKS = ("objects", "s3d", "coref_train", "coref_eval")


def rule_of(row):
    """The rule of a job: the plugin puts it into the comment or the job's name."""
    return row["Comment"].removeprefix("rule_").split("_wildcards")[0]


def accounted(project):
    """Every id of every shard stands once in every stage's ledgers, and all are ok."""
    wanted = {v for path in (project.folder / "work/shards").glob("*.json") for v in files.read_json(path)}
    for stage in STAGES:
        rows = [
            row
            for shard in ("0000", "0001")
            for row in ledger.read(project.folder / f"work/{stage}/{shard}.parquet").values()
        ]
        assert sorted(row.video_id for row in rows) == sorted(wanted), stage
        assert all(row.ok for row in rows), stage
    assert not list((project.folder / "work").rglob("*.partial"))


def test_the_demo_runs_to_its_end(project, cluster, local):
    project.run()
    assert project.results() == local
    accounted(project)
    time.sleep(3)  # accounting lags
    jobs = cluster.history("JobID", "State", "Partition", "AllocTRES", "Comment")
    assert jobs and {job["State"] for job in jobs} == {"COMPLETED"}
    by_partition = {name: {rule_of(job) for job in jobs if job["Partition"] == name} for name in ("cpu", "gpu")}
    assert by_partition["gpu"] == set(NETWORKS)
    assert {"videos", "captions", "due_diligence", "hdf5"} <= by_partition["cpu"]
    assert all("gres/gpu=1" in job["AllocTRES"] for job in jobs if job["Partition"] == "gpu")
    arrays = {rule_of(job) for job in jobs if "_" in job["JobID"]}
    assert {"articles", "captions"} <= arrays, "shards that are ready together are an array"
    assert list(project.folder.glob("efficiency_report*"))
    assert "Nothing to be done" in project.run().stdout


def processes(**variables):
    """Processes of this machine whose environment has these values."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if all(environment.get(name) == value for name, value in variables.items()):
            found.append(process)
    return found


def stop_process(module, job):
    """Stop the process of a job that runs a module, as if it hung; the job may only just have begun."""
    number, _, task = job.partition("_")
    own = {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": task} if task else {"SLURM_JOB_ID": number}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for process in processes(**own):
            with contextlib.suppress(psutil.NoSuchProcess):  # one of the job's short-lived children
                if process.cmdline()[1:3] == ["-m", module]:
                    process.send_signal(signal.SIGSTOP)
                    return
        time.sleep(0.05)
    raise TimeoutError(f"job {job} ran no {module}")


class Watcher:
    """Waits for running jobs of rules."""

    def __init__(self, cluster, run):
        self.cluster, self.run = cluster, run

    def job(self, rule, beside=()):
        """(id, node) of a running job of a rule."""
        end = time.monotonic() + 400
        while time.monotonic() < end:
            assert self.run.poll() is None, "the run ended early"
            shown = self.cluster.ask("squeue", "-h", "-t", "R", "-o", "%i|%N|%k") or ""
            for line in shown.splitlines():
                number, node, comment = line.split("|")
                if comment.removeprefix("rule_").startswith(rule) and number not in beside:
                    return number, node
            time.sleep(0.2)
        raise TimeoutError(rule)


def test_whatever_happens_to_jobs_the_run_ends_complete(project, cluster, local):
    """Cancelled, node lost, hanging beyond its time, too little memory: each is tried again, and nothing is done twice."""
    project.profile(
        s3d={"mem_mb": "250 * 4 ** (attempt - 1)"},  # PyTorch alone takes more
        due_diligence={"runtime": "1"},
    )
    log = project.folder / "run.log"
    with open(log, "w") as output:
        run = subprocess.Popen(
            project.command(), cwd=project.folder, env=project.environment(), stdout=output, stderr=output
        )
    try:
        watcher = Watcher(cluster, run)
        cancelled, _ = watcher.job("videos")
        cluster.ask("scancel", cancelled)

        hanging, _ = watcher.job("due_diligence")
        stop_process("pipeline_lib.clean.due_diligence", hanging)

        _, lost = watcher.job("objects")
        cluster.lose_node(lost)
        assert run.wait(900) in (0, 1)
    finally:
        if run.poll() is None:
            os.kill(run.pid, signal.SIGINT)
            run.wait(60)
    cluster.start_node(lost)
    done = project.run()
    assert project.results() == local, done.stdout[-3000:]
    accounted(project)
    time.sleep(3)
    states = {job["State"].split()[0] for job in cluster.history("JobID", "State")}
    assert {"CANCELLED", "NODE_FAIL", "TIMEOUT"} <= states, (states, log.read_text()[-3000:])
    said = [path.read_text() for path in (cluster.folder / "log").glob("slurmd.*.txt")]
    assert any("exceeded memory limit" in text for text in said)
