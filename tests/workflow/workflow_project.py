"""The project copied into a folder of its own, with the demo at its smallest, for tests of whole runs."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "config.yaml", "profiles", "workflow", "envs", "pipeline_lib")

#: The demo at its smallest: every stage runs its real code on a handful of short videos.
TINY = {
    "shards": 2,
    "source": {
        "demo": {
            "train": 6,
            "val": 3,
            "test": 3,
            "min_seconds": 8.0,
            "max_seconds": 9.0,
            "width": 96,
            "height": 64,
            "fps": 8,
        }
    },
    "features": {
        "objects": {"short_side": 64, "max_side": 96, "proposals": 12},
        "s3d": {"fps": 4.0, "frames": 8, "stride": 8, "size": 64},
    },
    "coref": {
        "model": {"dimension": 32},
        "training": {"epochs": 2, "batch_videos": 3},
        "evaluation": {"bootstrap": 20},
    },
}

RESULTS = (
    "results/coref_eval.json",
    "results/GloVe_tokenized_count.txt",
    "results/CLIP_tokenized_count.txt",
    "work/objects.hdf5",
    "work/s3d.hdf5",
)


@dataclass
class Project:
    """A copy of the project that snakemake runs in."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, **overlay) -> "Project":
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / part)
        project = cls(folder)
        project.configure(**overlay)
        return project

    def copy(self, folder: Path) -> "Project":
        """The same project with everything it has made."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def configure(self, **overlay) -> None:
        """Write the overlay: TINY with whole sections replaced."""
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump({**TINY, **overlay}))

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--cores", "2", *words, "--configfile", "tiny.yaml"]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0 or not check, done.stdout[-6000:]
        return done

    def run_and_kill(self, seconds: float) -> bool:
        """Start a run and kill its whole process group after some seconds; whether it was still running."""
        process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True

    def planned(self, *words: str) -> dict[str, int]:
        """Rules that a dry run would run, with the number of jobs of each."""
        return jobs(self.run("-n", *words).stdout)

    def results(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in RESULTS}


def jobs(output: str) -> dict[str, int]:
    """The table «Job stats» that snakemake prints, without its total."""
    if "Job stats:" not in output:
        return {}
    lines = output.split("Job stats:")[-1].strip().splitlines()[2:]
    table = {}
    for line in lines:
        parts = line.split()
        if len(parts) != 2 or not parts[1].isdigit():
            break
        table[parts[0]] = int(parts[1])
    table.pop("total", None)
    return table
