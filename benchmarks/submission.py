"""How much later the first step begins when a command is submitted than when it is given on the head itself.

    nice -n -10 python -m benchmarks.submission

A real head on loopback with a token; pairs of runs by turns, each of its own seed, on one warm head. The first pair, in
which files are read from disk for the first time, is printed and not counted.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.integration import ray_head

NUM_PAIRS = 3
TARGET_S = 10.0
DENSITY = "def log_density(x):\n    return -0.5 * (x**2).sum(1)\n"
WORDS = ("sample", "--target", "posterior:log_density", "--dim", "2", "--num_chains", "16", "--num_draws", "2")


def main() -> int:
    """Print each pair, and their median difference beside the target."""
    differences: list[float] = []
    with tempfile.TemporaryDirectory() as name, ray_head.running() as head:
        folder = Path(name)
        (folder / "posterior.py").write_text(DENSITY)
        environment = ray_head.environment(head.folder / "token") | {"PYTHONPATH": str(ray_head.REPOSITORY)}
        for seed in range(NUM_PAIRS):
            here = first_step_s((*WORDS, "--seed", str(seed), "--cluster.address", head.address), folder, environment)
            submitted = first_step_s(
                ("submit", *WORDS, "--seed", str(100 + seed), "--to", head.to), folder, environment
            )
            print(f"on the head {here:.1f} s, submitted {submitted:.1f} s", flush=True)
            differences.append(submitted - here)
    median = statistics.median(differences[1:])
    print(f"submitted begins its first step {median:.1f} s later (target: at most {TARGET_S:.0f} s)")
    return int(median > TARGET_S)


def first_step_s(words: tuple[str, ...], folder: Path, environment: dict[str, str]) -> float:
    """Seconds from the start of a command until it says that its first step has started; its end is awaited."""
    command = [sys.executable, "-m", "scorefleet", *words]
    start, started = time.monotonic(), 0.0
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("sample   started"):
                started = time.monotonic() - start
    if not started:
        raise RuntimeError(f"{' '.join(words)} did not start: exit code {process.returncode}")
    return started


if __name__ == "__main__":
    sys.exit(main())
