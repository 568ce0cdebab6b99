"""A demo run killed N times at random moments, each time begun anew → whether its results equal an undisturbed run's.

python benchmarks/kill.py --times 10 --out benchmarks/results/kill.json
"""

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "workflow"))
from workflow_project import RESULTS, Project


def main(
    out: Annotated[Path, typer.Option(help="JSON to write")],
    times: Annotated[int, typer.Option(help="kills")] = 10,
    seed: Annotated[int, typer.Option(help="of the moments")] = 0,
) -> None:
    """Kill a run's whole process group again and again, let the last one end, and compare bytes."""
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    calm = Project.create(folder / "calm")
    start = time.monotonic()
    calm.run()
    length = time.monotonic() - start
    print(f"undisturbed: {length:.0f} s")
    troubled, rng, kills = Project.create(folder / "troubled"), random.Random(seed), []
    for number in range(times):
        seconds = round(rng.uniform(2, max(6, length / 3)), 1)
        killed = troubled.run_and_kill(seconds)
        kills.append({"after_seconds": seconds, "was_running": killed})
        print(f"kill {number + 1}: after {seconds} s{'' if killed else ' (it had ended)'}")
        if killed:
            troubled.run("--unlock", check=False)
        else:  # it finished: take away something in the middle, so that there is work to kill again
            (troubled.folder / "work/due_diligence/0000.parquet").unlink()
    troubled.run()
    one, two = calm.results(), troubled.results()
    equal = {name: one[name] == two[name] for name in RESULTS}
    partial = [str(path) for path in troubled.folder.rglob("*.partial")]
    print(f"byte-identical: {equal}; partial files left: {len(partial)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"kills": kills, "equal": equal, "partial": len(partial)}, indent=1) + "\n")
    sys.exit(0 if all(equal.values()) and not partial else 1)


if __name__ == "__main__":
    typer.run(main)
