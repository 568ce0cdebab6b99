"""One cluster for all tests here, and the smallest demo with the SLURM profile, its numbers cut down to fit the nodes."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import cluster as slurm
import pytest
import yaml
from workflow_project import Project

#: Quick checks; a cluster that many people use would not thank us.
QUICK = {
    "latency-wait": 15,
    "seconds-between-status-checks": 2,
    "slurm-init-seconds-before-status-checks": 2,
    "slurm-logdir": ".snakemake/slurm_logs",
}


@pytest.fixture(scope="session")
def cluster():
    """A running cluster; asked for with PIPELINE_SLURM=1 only, because starting daemons is nothing to do unasked."""
    if not os.environ.get("PIPELINE_SLURM"):
        pytest.skip("set PIPELINE_SLURM=1, or call make test-slurm")
    reason = slurm.why_not()
    if reason:
        pytest.skip(reason)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the tests so ends the daemons, too
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: sockets' paths have a limit
    try:
        try:
            running = slurm.Cluster(folder)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # of this host, not of what is tested
            pytest.skip(f"no cluster came up here: {error}; {slurm.last_words(folder)}")
        with contextlib.closing(running):
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class SlurmProject(Project):
    """The project run with `--workflow-profile` on the cluster."""

    cluster: slurm.Cluster

    def command(self, *words: str) -> list[str]:
        python, module, name, _, _, *rest = super().command(*words)
        return [python, module, name, "--workflow-profile", "profiles/test", *rest]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SLURM_CONF": self.cluster.environment["SLURM_CONF"]}

    def profile(self, **resources: dict[str, str]) -> None:
        """Write profiles/test: the project's SLURM profile with small numbers, and `resources` of rules over them."""
        profile = yaml.safe_load((self.folder / "workflow/profiles/slurm/profile.yaml").read_text())
        profile |= QUICK
        profile["default-resources"] |= {"mem_mb": "1500 * attempt", "runtime": 10}
        for rule in profile["set-resources"].values():
            rule |= {"mem_mb": "2500 * attempt", "runtime": "10"}
        for rule, values in resources.items():
            profile["set-resources"].setdefault(rule, {}).update(values)
        del profile["set-threads"]
        folder = self.folder / "profiles" / "test"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "profile.yaml").write_text(yaml.safe_dump(profile))


@pytest.fixture
def project(cluster, tmp_path):
    """A copy of the project that nothing ran in yet."""
    made = SlurmProject.create(tmp_path / "project")
    made.cluster = cluster
    made.profile()
    return made


@pytest.fixture(scope="session")
def local(tmp_path_factory, cluster):
    """The results of an undisturbed run on this machine, without SLURM."""
    done = Project.create(tmp_path_factory.mktemp("local") / "project")
    done.run()
    return done.results()
