"""Records a run as fast as a training loop may, until its standard input ends; then says what that cost.

`python -m tests.clusters.recorder JOURNAL URI` writes one step after another into the journal, which is mirrored, and
prints as JSON: how many steps, the slowest call in seconds, and what the server has.
"""

import dataclasses
import json
import sys
import threading
import time
from pathlib import Path

from scorefleet.tasks.records.tracking import Journal, Mirror

EXPERIMENT = "many at once"
PACE_S = 0.02


def main() -> None:
    path, uri = sys.argv[1:]
    journal = Journal(Path(path))
    mirror = Mirror(journal, uri, Path(path).parent, EXPERIMENT, Path(path).stem)
    is_over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
    mirror.start()
    step, slowest_s = 0, 0.0
    while not is_over.wait(PACE_S):
        begun = time.monotonic()
        journal.metrics({"loss": 1 / (1 + step), "rate": float(step)}, step)
        slowest_s = max(slowest_s, time.monotonic() - begun)
        step += 1
    journal.status("FINISHED")
    status = mirror.finish(120)
    print(json.dumps({"num_steps": step, "slowest_s": slowest_s} | dataclasses.asdict(status)))


if __name__ == "__main__":
    main()
