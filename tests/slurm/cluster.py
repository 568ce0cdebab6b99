"""A real SLURM on this one host: Debian's munged, mariadbd, slurmdbd, slurmctld and several slurmd, started and ended by id.

Needs root (SLURM's daemons do), no systemd and no cgroups. GPUs are character devices that nothing reads. Jobs that Snakemake
submits inherit no SLURM_CONF, so /etc/slurm/slurm.conf is a link to this cluster's while it runs.
"""

import contextlib
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PROGRAMS = (
    "munged",
    "mariadbd",
    "mariadb-install-db",
    "slurmdbd",
    "slurmctld",
    "slurmd",
    "sacct",
    "sbatch",
    "scontrol",
)
NODES = {"cpu": ("c1", "c2"), "gpu": ("g1", "g2")}  # after a failed node a retry avoids it, so there are two of each
PORTS = {"slurmctld": 16817, "slurmdbd": 16819, "mariadbd": 16306, "slurmd": 17001}
DEFAULT = Path("/etc/slurm")


def why_not() -> str | None:
    """Why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    if missing := [name for name in PROGRAMS if not _program(name)]:
        return f"{', '.join(missing)} missing (make test-slurm installs them)"
    if any((DEFAULT / name).exists() for name in ("slurm.conf", "gres.conf")):
        return f"{DEFAULT} holds the configuration of a cluster; delete it if none runs"
    for port in (*PORTS.values(), *(PORTS["slurmd"] + number for number in range(1, sum(map(len, NODES.values()))))):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError as error:
                return f"port {port}: {error}"
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        try:
            _null_device(Path(folder, "gpu0"))
        except OSError as error:
            return f"no device file can be made: {error}"
    return None


def _null_device(path: Path) -> None:
    """A character device that takes everything and gives nothing."""
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Cluster:
    """A running cluster, until it is closed.

    Args:
        folder: of its state; short, because the socket's path has a limit.

    Raises:
        OSError, RuntimeError, subprocess.SubprocessError: it doesn't start on this host.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._linked: list[Path] = []
        for name in ("etc", "log", "run", "state", "spool", "mysql", "dev"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name).chmod(0o755)
        self.folder.chmod(0o755)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all daemons."""
        for name in reversed(list(self.processes)):
            self.stop(name)
        for link in self._linked:
            link.unlink(missing_ok=True)

    def _start(self) -> None:
        self._write_configuration()
        munge = ("--foreground", f"--key-file={self.folder}/etc/munge.key", f"--socket={self.folder}/run/munge.sock")
        self._run("munged", *munge, "--force", f"--log-file={self.folder}/log/munged.txt", f"--pid-file={self.folder}/run/m.pid",
                  f"--seed-file={self.folder}/state/seed", "--num-threads=2")  # fmt: skip
        _wait("munged", lambda: (self.folder / "run/munge.sock").exists())
        self._start_database()
        self._run("slurmdbd", "-D")
        _wait("slurmdbd", lambda: self.ask("sacctmgr", "-n", "list", "cluster", check=False) is not None)
        for words in (
            ("cluster", "toy"),
            ("account", "lab", "Cluster=toy", "Description=lab", "Organization=lab"),
            ("user", "root", "Account=lab", "DefaultAccount=lab", "Cluster=toy"),
        ):
            self.ask("sacctmgr", "-i", "add", *words, check=False)
        self._run("slurmctld", "-D")
        _wait("slurmctld", lambda: "UP" in (self.ask("scontrol", "ping", check=False) or ""))
        for node in (*NODES["cpu"], *NODES["gpu"]):
            self.start_node(node)
        _wait("nodes", lambda: self.states() == dict.fromkeys((*NODES["cpu"], *NODES["gpu"]), "idle"))

    def _start_database(self) -> None:
        data, sock = self.folder / "mysql", self.folder / "run/mysql.sock"
        for path in (data, self.folder / "run"):
            shutil.chown(path, "mysql")
        program = _program("mariadb-install-db")
        subprocess.run(
            [str(program), "--no-defaults", "--user=mysql", f"--datadir={data}", "--skip-test-db",
             "--auth-root-authentication-method=socket"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._run("mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}", f"--socket={sock}",
                  "--bind-address=127.0.0.1", f"--port={PORTS['mariadbd']}", f"--pid-file={self.folder}/run/db.pid",
                  "--innodb-buffer-pool-size=128M", "--innodb-lock-wait-timeout=900")  # fmt: skip
        client = ["mariadb", "--no-defaults", "-S", str(sock), "-e"]
        _wait("mariadbd", lambda: subprocess.run([*client, "SELECT 1"], capture_output=True).returncode == 0)
        users = " ".join(
            f"CREATE USER 'slurm'@'{host}' IDENTIFIED BY 'pw'; GRANT ALL ON slurm_acct_db.* TO 'slurm'@'{host}';"
            for host in ("127.0.0.1", "localhost")
        )
        subprocess.run([*client, f"CREATE DATABASE slurm_acct_db; {users}"], check=True)

    def _write_configuration(self) -> None:
        base, host = self.folder, socket.gethostname().split(".")[0]
        key = base / "etc/munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for index in (0, 1):
            _null_device(base / f"dev/gpu{index}")
        nodes = [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={PORTS['slurmd'] + number} CPUs=2 "
            f"RealMemory=8000 {'Gres=gpu:fake:2 ' if name in NODES['gpu'] else ''}State=UNKNOWN"
            for number, name in enumerate((*NODES["cpu"], *NODES["gpu"]))
        ]
        (base / "etc/slurm.conf").write_text(
            f"""ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={PORTS["slurmctld"]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/run/munge.sock
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/run/slurmctld.pid
SlurmdPidFile={base}/run/slurmd.%n.pid
SlurmctldLogFile={base}/log/slurmctld.txt
SlurmdLogFile={base}/log/slurmd.%n.txt
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
SlurmdTimeout=10
KillWait=2
MinJobAge=300
JobRequeue=1
OverTimeLimit=0
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={PORTS["slurmdbd"]}
AccountingStoragePass={base}/run/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
"""
            + "\n".join(nodes)
            + f"\nPartitionName=cpu Nodes={','.join(NODES['cpu'])} Default=YES MaxTime=60 DefMemPerCPU=500 State=UP"
            + f"\nPartitionName=gpu Nodes={','.join(NODES['gpu'])} MaxTime=60 DefMemPerCPU=500 State=UP\n"
        )
        (base / "etc/gres.conf").write_text(
            f"AutoDetect=off\nNodeName={','.join(NODES['gpu'])} Name=gpu Type=fake File={base}/dev/gpu[0-1]\n"
        )
        database = base / "etc/slurmdbd.conf"
        database.write_text(
            f"""AuthType=auth/munge
AuthInfo={base}/run/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={PORTS["slurmdbd"]}
SlurmUser=root
PidFile={base}/run/slurmdbd.pid
LogFile={base}/log/slurmdbd.txt
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={PORTS["mariadbd"]}
StorageUser=slurm
StoragePass=pw
StorageLoc=slurm_acct_db
"""
        )
        database.chmod(0o600)
        DEFAULT.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            link = DEFAULT / name
            if link.is_symlink() and not link.exists():  # of a cluster that was killed
                link.unlink()
            link.symlink_to(base / "etc" / name)  # fails where a real cluster's file stands
            self._linked.append(link)

    def _run(self, program: str, *words: str, name: str | None = None) -> None:
        """Start a daemon in the foreground of a session of its own."""
        with open(self.folder / "log" / f"{name or program}.out", "wb") as output:
            self.processes[name or program] = subprocess.Popen(
                [str(_program(program)), *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,
            )

    @property
    def environment(self) -> dict[str, str]:
        """Variables for commands that talk to this cluster."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "etc/slurm.conf")}

    def start_node(self, name: str) -> None:
        """Start a node's daemon."""
        (self.folder / "spool" / name).mkdir(exist_ok=True)
        self._run("slurmd", "-D", "-N", name, name=f"slurmd.{name}")

    def lose_node(self, name: str) -> None:
        """End a node as a power cut does: its daemon, what watches over its jobs, and these, without a word to the others."""
        jobs = (self.ask("squeue", "-h", "-w", name, "-o", "%A") or "").split()
        self.stop(f"slurmd.{name}", kill=True)
        watching = re.compile(rf"slurmstepd: \[({'|'.join(jobs)})\.")
        for find in (
            lambda process: watching.match(" ".join(process.cmdline())),
            lambda process: _job_of(process) in jobs,
        ):
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    if find(process):
                        process.kill()

    def stop(self, name: str, kill: bool = False) -> None:
        """End one of our processes."""
        process = self.processes.pop(name)
        if process.poll() is None:
            process.kill() if kill else process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)

    def ask(self, *words: str, check: bool = True) -> str | None:
        """The output of a SLURM command, or None if it failed and needn't work."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return done.stdout
        if check:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
        return None

    def states(self) -> dict[str, str]:
        """{node: state}."""
        shown = self.ask("sinfo", "-h", "-N", "-o", "%N %T", check=False) or ""
        return dict(line.split() for line in shown.splitlines())

    def jobs(self, *states: str) -> dict[str, str]:
        """{id: name} of jobs in the queue, in some states only if given."""
        some = ["-t", ",".join(states)] if states else []
        shown = self.ask("squeue", "-h", "-o", "%A %j", *some) or ""
        return dict(line.split(maxsplit=1) for line in shown.splitlines())

    def history(self, *fields: str) -> list[dict[str, str]]:
        """What sacct says of all jobs that ever ran, those that were tried again included, without their steps."""
        shown = self.ask("sacct", "-X", "-D", "-n", "-P", "-S", "now-1days", "-o", ",".join(fields)) or ""
        return [dict(zip(fields, line.split("|"), strict=True)) for line in shown.splitlines()]


def _job_of(process: psutil.Process) -> str | None:
    return process.environ().get("SLURM_JOB_ID")


def last_words(folder: Path) -> str:
    """The last line of every daemon's log."""
    said = {path.stem: path.read_text(errors="replace").split("\n") for path in sorted((folder / "log").iterdir())}
    return "; ".join(f"{name}: {lines[-2]}" for name, lines in said.items() if len(lines) > 1)


def _wait(what: str, ready: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come up within {seconds:.0f} s")
        time.sleep(0.2)
