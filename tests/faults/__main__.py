"""Runs many schedules of faults: `python -m tests.faults`, or one again: `python -m tests.faults --seed 17
--num-schedules 1`.
"""

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

from scorefleet.tasks.fleet.secure import secure_ray


def main() -> int:
    """Every schedule that fails is printed with its seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-schedules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="that of the first schedule")
    parser.add_argument("--aimed", action="store_true", help="those that aim at one rule each, instead")
    chosen = parser.parse_args()
    secure_ray(is_own=True)
    from tests.faults.aimed import AIMED  # which imports Ray, and Ray reads its safety then
    from tests.faults.schedules import Schedule, check, cluster

    seeds = range(chosen.seed, chosen.seed + chosen.num_schedules)
    schedules = AIMED if chosen.aimed else [Schedule.of(seed) for seed in seeds]
    failed, kinds, start = [], collections.Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, cluster():
        for number, schedule in enumerate(schedules):
            kinds.update(fault.kind for fault in schedule.faults)
            try:
                check(schedule, Path(folder) / str(number))
            except Exception as error:
                failed.append(number if chosen.aimed else schedule.seed)
                print(f"FAILED {failed[-1]}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(schedules)} schedules in {time.monotonic() - start:.0f} s: {dict(kinds)}; failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
