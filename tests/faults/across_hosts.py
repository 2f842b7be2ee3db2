"""Fills a store by all nodes of a cluster: `python -m tests.faults.across_hosts STORE FAULTS ADDRESS`."""

import sys
from pathlib import Path

from scorefleet.tasks.fleet.secure import secure_ray


def main(folder: str, faults: str, address: str) -> None:
    """Until it is published."""
    secure_ray(is_own=False)
    from scorefleet.tasks import config  # which imports Ray, and Ray reads its safety then
    from scorefleet.tasks.fleet.actors import Actors
    from scorefleet.tasks.fleet.cluster import connect
    from scorefleet.tasks.store.manifest import SampleStore
    from tests.faults.schedules import described
    from tests.faults.test_hosts import SCHEDULE
    from tests.faults.walker import Walker

    connect(config.Cluster(address=address))
    (job,) = SCHEDULE.jobs(Path(folder))
    fleet = Actors.start(Walker, (faults,), None, job.num_blocks)
    store = SampleStore(job.store)
    entries = fleet.fill(job, lambda made: None)
    store.publish(entries, described(job))
    fleet.dismiss()


if __name__ == "__main__":
    main(*sys.argv[1:])
