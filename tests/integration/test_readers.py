"""Every reader that docs/store.md names gets every row once, and the same values."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest

from scorefleet.tasks.store.growing import new_entries, read_shard
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.shards import from_parquet, logical_digest
from tests.integration.tiny import clean_environment

REPOSITORY = Path(__file__).parents[2]

WRITER = """
import sys, time
import numpy as np, pyarrow as pa
from scorefleet.tasks.store.manifest import SampleStore
store = SampleStore(sys.argv[1])
entries = []
for segment in range(40):
    x = np.random.default_rng(segment).random(2000)
    rows = pa.table({"chain": np.arange(2000), "draw": np.full(2000, segment), "x": x})
    entries.append(store.commit(0, segment, rows, {"x": np.zeros(3)}, {}))
    time.sleep(0.02)
store.publish(entries, {})
"""


@pytest.fixture(scope="module")
def folder(tiny_folders):
    return tiny_folders["model"] / "store"


@pytest.fixture(scope="module")
def expected(folder):
    return sorted_rows(SampleStore(str(folder), writable=False).dataset().to_table().to_pydict())


def sorted_rows(columns):
    """(chain, draw, position, log density) of every row, by chain and draw."""
    names = ("chain", "draw", "position", "log_density")
    rows = zip(*(columns[name] for name in names), strict=True)
    return sorted((int(c), int(d), tuple(map(float, p)), float(v)) for c, d, p, v in rows)


def test_pyarrow(folder, expected):
    assert sorted_rows(ds.dataset(folder / "shards").to_table().to_pydict()) == expected


def test_pandas(folder, expected):
    import pandas as pd

    assert sorted_rows(pd.read_parquet(folder / "shards").to_dict("list")) == expected


def test_duckdb(folder, expected):
    import duckdb

    names = ("chain", "draw", "position", "log_density")
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {', '.join(names)} FROM '{folder}/shards/*.parquet'").fetchall()
        (mean,) = connection.execute(f"SELECT avg(log_density) FROM '{folder}/shards/*.parquet'").fetchone()
    assert sorted_rows(dict(zip(names, zip(*rows, strict=True), strict=True))) == expected
    assert mean == pytest.approx(np.mean([row[3] for row in expected]))


def test_polars(folder, expected):
    import polars as pl

    assert sorted_rows(pl.scan_parquet(folder / "shards" / "*.parquet").collect().to_dict(as_series=False)) == expected


def test_ray_data(folder, expected):
    """In a process of its own, with a Ray of its own."""
    code = """
import json, sys
from scorefleet.tasks.fleet.secure import secure_ray
secure_ray(is_own=True)
import ray
from scorefleet.tasks import config
from scorefleet.tasks.fleet import cluster
cluster.connect(config.Cluster(num_cpus=1))
rows = ray.data.read_parquet(f"{sys.argv[1]}/shards").take_all()
columns = {name: [row[name] for row in rows] for name in ("chain", "draw", "position", "log_density")}
print(json.dumps(columns, default=lambda values: values.tolist()))
"""
    words = [sys.executable, "-c", code, str(folder)]
    environment = clean_environment() | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert sorted_rows(json.loads(done.stdout.splitlines()[-1])) == expected


def test_hugging_face_datasets(folder, expected, tmp_path):
    """In a process of its own, which nothing lets out of this machine."""
    code = """
import json, sys
import datasets
files = f"{sys.argv[1]}/shards/*.parquet"
rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=sys.argv[2])
print(json.dumps(rows.to_dict()))
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    words = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert sorted_rows(json.loads(done.stdout.splitlines()[-1])) == expected


@pytest.mark.parametrize(("num_ranks", "num_workers"), [(1, 0), (2, 0), (2, 2), (12, 0)])
def test_torch_gives_every_row_to_one_rank(folder, expected, num_ranks, num_workers):
    from torch.utils.data import DataLoader

    from scorefleet.tasks.store.torch_draws import Draws

    # Workers are spawned, for libraries with threads of their own (jax, in other tests) do not survive a fork.
    options = {"num_workers": num_workers, "multiprocessing_context": "spawn" if num_workers else None}
    loaders = [DataLoader(Draws(str(folder), None, rank, num_ranks), 7, **options) for rank in range(num_ranks)]
    batches = [batch for loader in loaders for batch in loader]
    columns = {name: [row for batch in batches for row in batch[name].tolist()] for name in batches[0]}
    assert sorted_rows(columns) == expected


def test_torch_refuses_a_rank_that_is_not_there(folder):
    from scorefleet.tasks.store.torch_draws import Draws

    with pytest.raises(ValueError, match="rank must be from 0 to num_ranks - 1, 1, but got 2"):
        Draws(str(folder), None, 2, 2)


def test_a_reader_that_polls_sees_only_whole_committed_shards(tmp_path):
    """As often as it can while another process writes; what it has seen in the end is the published store."""
    SampleStore(str(tmp_path))
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=REPOSITORY)
    seen, num_polls, sizes = [], 0, set()
    while writer.poll() is None or num_polls == 0:
        for entry in new_entries(str(tmp_path), seen):
            table = from_parquet(read_shard(str(tmp_path), entry), rows=entry.rows)
            assert logical_digest(table) == entry.digest
            seen.append(entry)
        num_polls += 1
        sizes.add(len(seen))
        time.sleep(0.005)
    seen += new_entries(str(tmp_path), seen)
    assert writer.returncode == 0
    assert len(sizes) > 3, "the reader saw the store grow"
    assert seen == SampleStore(str(tmp_path), writable=False).entries()
