"""Does the memory of the driver grow with the number of rows?

    python -m benchmarks.rows              # 10^5 and 10^8 rows of d = 16: minutes, and 15 GB of disk
    python -m benchmarks.rows 10000000     # with fewer in place of 10^8

`scorefleet sample` draws from a standard normal, twice: 100 chains, and as many as it takes. Each run has a process of
its own, which goes on to judge its draws and to make the page; the figure is the most memory that it ever had in use.
`scorefleet verify` then proves the large store. The actors' memory is theirs; each holds a segment of a block.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, report

DIM, NUM_DRAWS, BLOCK_SIZE = 16, 1000, 512
DRIVER = """
import json, resource, sys
from scorefleet.pipelines.cli import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
"""
SETTINGS = {"target": "benchmarks.standard_normal:log_density", "kernel": "mala", "burn_in": 50}


def main() -> int:
    """A small run and a large one."""
    num_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10**8
    with tempfile.TemporaryDirectory(prefix="rows") as folder:
        small = sample(Path(folder) / "small", 100)
        large = sample(Path(folder) / "large", num_rows // NUM_DRAWS)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "scorefleet", "verify", large["store"]], check=True)
        seconds = time.perf_counter() - start
        num_bytes = sum(path.stat().st_size for path in Path(large["store"]).rglob("*") if path.is_file())
    figures = [
        Figure("driver at 10^5 rows, MB", small["mb"]),
        Figure(f"driver at {num_rows:.0e} rows, MB", large["mb"]),
        Figure("growth of the driver's memory, MB", large["mb"] - small["mb"], highest=50),
        Figure("all of the large run, s", large["seconds"]),
        Figure("rows a second", num_rows / large["seconds"]),
        Figure("the store, GB", num_bytes / 1e9),
        Figure("proving it, s", seconds),
    ]
    return report(f"{num_rows:,} rows of d = {DIM}, {os.cpu_count()} processors", figures)


def sample(folder: Path, num_chains: int) -> dict[str, Any]:
    """What a run says of itself, its time and its memory; one that is not converged counts as well."""
    shape = {"dim": DIM, "num_chains": num_chains, "num_draws": NUM_DRAWS, "block_size": BLOCK_SIZE}
    words = [word for key, value in (SETTINGS | shape).items() for word in (f"--{key}", str(value))]
    summary = folder / "summary.json"
    folder.mkdir()
    start = time.perf_counter()
    command = [sys.executable, "-c", DRIVER, "sample", *words, "--root", str(folder), "--summary", str(summary)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] in (0, 6), said
    return said | {"seconds": time.perf_counter() - start, "store": json.loads(summary.read_text())["samples"]}


if __name__ == "__main__":
    sys.exit(main())
