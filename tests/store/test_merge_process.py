"""Merges in processes of their own → what is left when they are killed, and the memory they take."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from pipeline_lib.store.merge import merge_folder
from pipeline_lib.store.reader import FeatureFile


def test_a_killed_merge_leaves_the_old_file(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out" / "a.hdf5"
    folder.mkdir()
    for i in range(300):
        np.save(folder / f"v{i:03d}.npy", np.zeros((40, 256), np.float16))
    merge_folder(folder, out)
    old = out.read_bytes()
    for i in range(300):
        np.save(folder / f"v{i:03d}.npy", np.ones((40, 256), np.float16))
    slowly = (
        "import sys, time; from pathlib import Path; from pipeline_lib.store import layouts, merge\n"
        "real = layouts.FileSink.write\n"
        "def write(*args): real(*args); print('written', flush=True); time.sleep(0.02)\n"
        "layouts.FileSink.write = write\n"
        "merge.merge_folder(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    for after in (1, 3, 5):
        child = subprocess.Popen([sys.executable, "-c", slowly, folder, out], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(after):
            assert child.stdout.readline() == "written\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert out.read_bytes() == old
    assert any(entry.name.endswith(".partial") for entry in out.parent.iterdir())
    merge_folder(folder, out)
    assert not any(entry.name.endswith(".partial") for entry in out.parent.iterdir())
    with FeatureFile(out) as store:
        assert all((store.rows(video_id) == 1).all() for video_id in store.ids)


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    big = np.lib.format.open_memmap(tmp_path / "in" / "v.npy", "w+", np.float16, (150_000, 1024))  # 307 MB, sparse
    del big
    script = (
        "import sys; from pathlib import Path; from pipeline_lib.store.merge import merge_folder\n"
        "merge_folder(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", script, tmp_path / "in", tmp_path / "a.hdf5"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(said.split()[1]) / 1024 < 200  # of this process alone; what wait4 tells counts its parent's too
    assert (tmp_path / "a.hdf5").stat().st_size > 300_000_000
