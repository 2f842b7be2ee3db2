"""What a fleet and its store cost beside the work itself: each figure beside what is wanted of it.

    python -m benchmarks.scale              # all of them, about three minutes
    python -m benchmarks.scale writing      # or some: writing, manifest, control, pipeline

- writing: a segment is committed (shard, state, record, all synced, with both digests), beside pyarrow writing the same
  rows with the same encoding into a file that is synced; ratios of neighbours.
- manifest: one of 100,000 shards is opened, and a fleet's entries become one.
- control: the driver's loop with 1,000 actors, each a stand-in before one real actor that answers at once.
- pipeline: segments of an energy with d = 64 and width 256 through actors, Arrow, commits and the manifest, beside the
  bare loop over the same steps in as many processes; and two actors beside one.

`python -m benchmarks.store` measures the proof of a store and `python -m benchmarks.rows` the driver's memory.
"""

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.figures import Figure, report
from scorefleet.tasks.fleet.secure import secure_ray
from scorefleet.tasks.store.entry import Entry, shard_path, state_path
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.shards import writer
from scorefleet.tasks.store.spool import Spool

NUM_SHARDS, ROWS, DIM, NUM_ROUNDS = 100_000, 65_536, 64, 9


def writing() -> list[Figure]:
    """Commits beside files of pyarrow, in turns."""
    random = np.random.default_rng(0)
    values = random.standard_normal(ROWS * DIM, dtype=np.float32)
    table = pa.table(
        {
            "chain": np.tile(np.arange(256), ROWS // 256),
            "draw": np.repeat(np.arange(ROWS // 256, dtype=np.int32), 256),
            "position": pa.FixedSizeListArray.from_arrays(pa.array(values), DIM),
        }
    )
    seconds: dict[str, list[float]] = {"commit": [], "pyarrow": []}
    with tempfile.TemporaryDirectory() as folder:
        store, state = SampleStore(folder), {"x": values[: 256 * DIM].reshape(256, DIM)}
        for turn in range(NUM_ROUNDS):
            start = time.perf_counter()
            store.commit(turn, 0, table, state, {})
            seconds["commit"].append(time.perf_counter() - start)
            start = time.perf_counter()
            with (Path(folder) / "beside.parquet").open("wb") as file:
                with writer(file, table.schema) as plain:
                    plain.write_table(table)
                file.flush()
                os.fsync(file.fileno())
            seconds["pyarrow"].append(time.perf_counter() - start)
    ratio = statistics.median(a / b for a, b in zip(seconds["pyarrow"], seconds["commit"], strict=True))
    return [
        Figure("a commit of 65,536 rows of d = 64, ms", 1e3 * statistics.median(seconds["commit"])),
        Figure("pyarrow and fsync, ms", 1e3 * statistics.median(seconds["pyarrow"])),
        Figure("speed of a commit over that of pyarrow", ratio, lowest=0.9),
    ]


def manifest() -> list[Figure]:
    """100,000 shards from a fleet's entries to a manifest and back."""
    entries = Spool()
    start = time.perf_counter()
    for block in range(NUM_SHARDS):
        entries.add(entry_of(block, 0))
    spooled = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        store = SampleStore(folder)
        start = time.perf_counter()
        store.publish(entries, {})
        published = time.perf_counter() - start
        start = time.perf_counter()
        num_shards = sum(1 for _ in SampleStore(folder, writable=False).each_entry())
        opened = time.perf_counter() - start
        assert num_shards == NUM_SHARDS
        num_bytes = (Path(folder) / "manifest.parquet").stat().st_size
    return [
        Figure("100,000 entries kept until the end, s", spooled),
        Figure("... made a manifest and published, s", published),
        Figure("... the manifest's bytes a shard", num_bytes / NUM_SHARDS),
        Figure("... opened, every entry checked, s", opened, highest=2),
    ]


def entry_of(block: int, segment: int) -> Entry:
    """As a fleet would have it: with digests and facts of its own."""
    sha256, digest, state_sha256 = (hashlib.sha256(f"{block} {segment} {k}".encode()).hexdigest() for k in range(3))
    facts = {"accepted": block, "proposed": ROWS, "min_accepted": 3, "proposed_per_chain": 128, "num_nonfinite": 0}
    facts |= {"num_evaluations": 129, "hardware": "cpu x86_64 AVX512", "compiler": "g++ 12.2.0"}
    paths = shard_path(block, segment, sha256), state_path(block, segment, state_sha256)
    return Entry(block, segment, paths[0], ROWS, 10**7, sha256, digest, paths[1], state_sha256, facts)


def main() -> int:
    """Measure what is named, or all."""
    secure_ray(is_own=True)
    from benchmarks import fleets  # imports Ray, which looks at its environment then

    ways: dict[str, Callable[[], list[Figure]]] = {
        "writing": writing,
        "manifest": manifest,
        "control": fleets.control,
        "pipeline": fleets.pipeline,
    }
    figures = [figure for name in sys.argv[1:] or ways for figure in ways[name]()]
    return report(f"{os.cpu_count()} processors", figures)


if __name__ == "__main__":
    sys.exit(main())
