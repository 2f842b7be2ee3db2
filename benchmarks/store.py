"""How fast is a store verified, beside just reading its bytes?

    python -m benchmarks.store

A store of 64 shards of 65,536 rows, d = 16, is written; then, several times in turn and each time with the files out of
the page cache, it is verified, its bytes are read by as many threads as there are cores, and its rows are read by Arrow
with page checksums. Figures are medians of ratios of neighbours. The processor's time for a byte says what does not
depend on who else uses the machine: hashing takes most of it.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.figures import Figure, report
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.verify import verify

NUM_SHARDS, BLOCK_SIZE, DRAWS, DIM, NUM_ROUNDS = 64, 256, 256, 16, 5


def main() -> int:
    """Write, then read in three ways."""
    with tempfile.TemporaryDirectory() as folder:
        uri = fill(folder)
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        num_bytes = sum(path.stat().st_size for path in paths)
        ways: dict[str, Callable[[], object]] = {
            "verify": lambda: verify(uri),
            "bytes": lambda: read_bytes(paths),
            "rows": lambda: sum(batch.num_rows for batch in SampleStore(uri, False).dataset().to_batches()),
        }
        seconds, busy = {name: [] for name in ways}, {name: [] for name in ways}
        for _ in range(NUM_ROUNDS):
            for name, read in ways.items():
                evict(paths)
                start, start_busy = time.perf_counter(), time.process_time()
                read()
                seconds[name].append(time.perf_counter() - start)
                busy[name].append(time.process_time() - start_busy)
        assert verify(uri).is_whole

    def ratio(name: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[name], seconds["verify"], strict=True))

    rates = [Figure(f"{name}, GB/s of file", num_bytes / statistics.median(seconds[name]) / 1e9) for name in ways]
    rates += [Figure(f"{name}, processor ns a byte", statistics.median(busy[name]) / num_bytes * 1e9) for name in ways]
    speeds = [
        Figure("speed of verify over that of reading bytes", ratio("bytes"), lowest=0.8),
        Figure("speed of verify over that of reading rows", ratio("rows"), lowest=0.8),
    ]
    return report(f"{NUM_SHARDS} shards, {num_bytes / 1e6:.0f} MB, {os.cpu_count()} processors", [*rates, *speeds])


def fill(folder: str) -> str:
    """Noise, which packs worst: as many bytes a row as there can be."""
    store, random = SampleStore(folder), np.random.default_rng(0)
    entries = []
    for block in range(NUM_SHARDS):
        position = random.standard_normal(BLOCK_SIZE * DRAWS * DIM, dtype=np.float32)
        table = pa.table(
            {
                "chain": np.tile(np.arange(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE), DRAWS),
                "draw": np.repeat(np.arange(DRAWS, dtype=np.int32), BLOCK_SIZE),
                "position": pa.FixedSizeListArray.from_arrays(pa.array(position), DIM),
            }
        )
        entries.append(store.commit(block, 0, table, {"x": position[: BLOCK_SIZE * DIM]}, {}))
    program = {"block_size": BLOCK_SIZE, "num_draws": DRAWS, "draws_per_segment": DRAWS}
    store.publish(entries, {"num_chains": NUM_SHARDS * BLOCK_SIZE, "program": program})
    return folder


def read_bytes(paths: list[Path]) -> int:
    """All bytes, by as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return sum(pool.map(lambda path: len(path.read_bytes()), paths))


def evict(paths: list[Path]) -> None:
    """Take the files out of the page cache, so that the disk is read."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    sys.exit(main())
