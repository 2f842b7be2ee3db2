import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from scorefleet.tasks import config
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import prepare, read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.user_code.known_score import scores_of_rows

FUNCTIONS = """
import torch

MEAN, SD = torch.tensor([100.0, -2.0]).double(), torch.tensor([7.0, 0.1]).double()

def score(x):
    return (MEAN - x) / SD**2

def log_density(x):
    return -0.5 * ((x - MEAN) / SD).square().sum(1)

def flipped(x):
    return -score(x)

def in_other_units(x):
    return SD * score(x)

def coupled(x):
    return score(x) - x.mean()

def wrong_shape(x):
    return score(x)[:, :1]

def broken(x):
    return score(x) / 0.0 * 0.0

def raising(x):
    raise RuntimeError("no such thing")
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Rows of two normals of very different units, and a module of functions in the working folder."""
    folder = tmp_path_factory.mktemp("known")
    (folder / "known_normals.py").write_text(FUNCTIONS)
    random = np.random.default_rng(0)
    x = np.array([100.0, -2.0]) + np.array([7.0, 0.1]) * random.standard_normal((2000, 2))
    pq.write_table(pa.table({"a": x[:, 0], "b": x[:, 1]}), folder / "rows.parquet")
    pq.write_table(pa.table({"a": x[:, 0], "b": np.rint(x[:, 0])}), folder / "whole.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield {name: _prepare(folder, name) for name in ("rows", "whole")}


def _prepare(folder, name):
    (folder / name).mkdir()
    context = Context("0" * 64, folder / name, name, 0, folder, config.Cluster(), Journal(folder / f"{name}.jsonl"))
    prepare(config.Prepare(str(folder / f"{name}.parquet")), context)
    return folder / name


@pytest.mark.parametrize("name", ["score", "log_density"])
def test_scores_are_those_of_standardised_rows(prepared, name):
    """Of the normals in standardised coordinates: `-(z - m)/v`, with m and v about 0 and 1."""
    folder, schema = prepared["rows"], read_schema(prepared["rows"])
    z = torch.from_numpy(schema.encode(read_split(folder, "train"))).double()
    location, scale = (np.array([getattr(c, key) for c in schema.columns]).reshape(-1) for key in ("location", "scale"))
    mean = torch.from_numpy((np.array([100.0, -2.0]) - location) / scale)
    sd = torch.from_numpy(np.array([7.0, 0.1]) / scale)
    found = scores_of_rows(f"known_normals:{name}", folder)
    torch.testing.assert_close(found, ((mean - z) / sd**2).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flipped", "is not that of the rows"),
        ("in_other_units", "is not that of the rows"),
        ("coupled", "beside other rows"),
        ("wrong_shape", "must return scores"),
        ("broken", "is not finite at 1,431 of 1,431"),
        ("raising", "raised RuntimeError: no such thing"),
    ],
)
def test_what_is_no_known_score_of_the_rows_is_refused_in_one_line(prepared, name, words):
    with pytest.raises(DataError, match=words) as error:
        scores_of_rows(f"known_normals:{name}", prepared["rows"])
    assert "\n" not in str(error.value)


def test_whole_numbers_are_refused(prepared):
    with pytest.raises(UsageError, match="'b' holds whole numbers"):
        scores_of_rows("known_normals:score", prepared["whole"])


def test_a_module_that_is_not_there_is_refused(prepared):
    with pytest.raises(UsageError, match="nowhere"):
        scores_of_rows("nowhere:score", prepared["rows"])


@pytest.mark.parametrize(
    "keys",
    [
        {"objective": "explicit"},
        {"objective": "explicit", "known_score": "no function"},
        {"known_score": "module:function"},
        {"energy": "score_only", "objective": "contrastive"},
        {"energy": "score_only", "objective": "persistent"},
        {"energy": "score_only", "time_score_weight": 0.1},
    ],
)
def test_keys_that_do_not_fit_each_other_are_refused(keys):
    with pytest.raises(ValueError, match=r"train\..* must be .*, but got"):
        config.Train(**keys)
