"""Fills a store by all nodes of a cluster: `python -m tests.faults.across_hosts STORE FAULTS ADDRESS`."""

import sys
from pathlib import Path

from tasks.secure import secure_ray


def main(folder: str, faults: str, address: str) -> None:
    """Until it is published."""
    secure_ray(is_own=False)
    from tasks import config  # which imports Ray, and Ray reads its safety then
    from tasks.cluster import connect
    from tasks.fleet import Fleet
    from tests.faults.schedules import published
    from tests.faults.test_hosts import SCHEDULE
    from tests.faults.walker import Walker

    connect(config.Cluster(address=address))
    job = SCHEDULE.job(Path(folder))
    fleet = Fleet.start(Walker, (faults,), None)
    published(job, fleet.fill(job, lambda made: None))
    fleet.dismiss()


if __name__ == "__main__":
    main(*sys.argv[1:])
