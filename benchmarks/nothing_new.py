"""How long a night takes that brings nothing new, over the floor: importing what it needs and reading the registry.

    nice -n -10 python -m benchmarks.nothing_new

`scorefleet retrain` trains a small champion first, which is not counted; then rows and configuration stay the same.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, report
from tests.integration import tiny

NUM_NIGHTS = 5
TARGET_S = 15.0
FLOOR = "import mlflow, pyarrow, ray, torch; mlflow.MlflowClient({uri!r}).get_registered_model('tiny')"


def main() -> int:
    """Print the medians; 0 where the night meets its target."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "runs"
        words = ["retrain" if word == "run" else word for word in tiny.command("run", root)]
        first, *nights = (seconds_of(words) for _ in range(1 + NUM_NIGHTS))
        uri = f"sqlite:///{root}/mlflow.db"
        floor = [seconds_of([sys.executable, "-c", FLOOR.format(uri=uri)]) for _ in range(NUM_NIGHTS)]
    median = statistics.median(nights)
    print(f"the first night, which trains: {first:.0f} s")
    return report(
        f"a night with nothing new, {NUM_NIGHTS} times, and its floor",
        [
            Figure("seconds, median", median, highest=TARGET_S),
            Figure("seconds, longest", max(nights)),
            Figure("over imports and one look into the registry", median / statistics.median(floor)),
        ],
    )


def seconds_of(words: list[str]) -> float:
    """Of a command to its end, which must be a good one."""
    start = time.monotonic()
    subprocess.run(words, check=True, capture_output=True, env=tiny.clean_environment())
    return time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
