"""The same command with larger numbers goes on from the chains that are there, through the command line."""

import json
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.audit.rebuild import rebuild
from scorefleet.tasks.dag.artifacts import Dataset, Evaluation, Model, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.mcmc import target_program
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.registry.register import Record, register
from scorefleet.tasks.sampling.sample_target import TargetMaker, read_warm
from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore
from tests import gaussians, looking
from tests.integration.tiny import clean_environment

pytestmark = pytest.mark.timeout(600)

TARGET = ["sample", "--target", "tests.tiny_density:log_density", "--dim", "2", "--block_size", "16"]
MODEL = ["generate", "--model", "models:/left@champion", "--sample.block_size", "16", "--sample.num_levels", "6"]
MODEL += ["--sample.num_control_chains", "64", "--sample.thinning", "2"]


def of_target(root, store, num_chains, num_draws, *words):
    sizes = ["--num_chains", str(num_chains), "--num_draws", str(num_draws), "--cluster.num_actors", "0"]
    return [*TARGET, *sizes, "--root", str(root), "--store", str(root / store), *words]


def of_model(root, store, num_samples, num_draws, *words):
    sizes = ["--num_samples", str(num_samples), "--sample.num_draws", str(num_draws), "--cluster.num_actors", "0"]
    return [*MODEL, *sizes, "--root", str(root), "--store", str(root / store), *words]


RUNNER = [sys.executable, "-m", "tests.integration.in_one_process"]


def run(commands):
    """Each command's exit code, output and errors, all of one process."""
    given = {"input": json.dumps([*commands.values()]), "env": clean_environment()}
    done = subprocess.run(RUNNER, capture_output=True, text=True, check=False, **given)
    assert done.returncode == 0, done.stderr
    return dict(zip(commands, json.loads(done.stdout), strict=True))


def kill_at_commit(number, folder, commands):
    """Commands of one process, killed with all that they have started when there are so many commits."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": clean_environment()}
    with subprocess.Popen(RUNNER, stdin=subprocess.PIPE, text=True, **quiet) as process:
        process.stdin.write(json.dumps(commands))
        process.stdin.close()
        while process.poll() is None and len(list(folder.glob("commits/*.json"))) < number:
            time.sleep(0.01)
        assert process.poll() is None
        looking.kill(looking.family(process.pid))


@pytest.fixture(scope="module")
def root(tmp_path_factory, empty_database):
    """With a registered model."""
    root = tmp_path_factory.mktemp("extending")
    (root / "mlflow.db").write_bytes(empty_database.read_bytes())
    here = root / "made"
    gaussians.write(here, gaussians.rows_of([10.0, -2.0], [[4.0, 1.0], [1.0, 0.5]], 1), "ab", "float64")
    (here / "dataset.json").write_text('{"is_exact": true}')
    (here / "evaluation.json").write_text("{}")
    context = Context("k" * 64, here, "left", 0, root, config.Cluster(), Journal(here / "journal.jsonl"))
    made = Dataset(str(here), "d", {}, 2), Model(str(here), models.digest(here)), Samples(str(here), "s", 1, None, "")
    register(Record(config.Register(), "r"), context, *made, Evaluation(str(here), True, (), {}))
    return root


@pytest.fixture(scope="module")
def done(root):
    """Stores of a density and of a model, drawn and extended; the former killed in the midst of that."""
    small, larger = of_target(root, "target", 40, 30), of_target(root, "target", 140, 50)
    kill_at_commit(4, root / "target", [small, larger])  # 3 of them are of the small one
    store = str(root / "target")
    return run(
        {
            "midway": ["verify", store],
            "fewer": of_target(root, "target", 141, 49),
            "other": of_target(root, "target", 141, 51, "--burn_in", "7"),
            "larger": [*larger, "--summary", str(root / "summary.json")],
            "whole": ["verify", store],
            "audited": ["audit", store, "--num-shards", "3"],
            "small again": small,
            "larger again": larger,
            "judged": [*small, "--from", "evaluate"],
            "small model": of_model(root, "model", 40, 1),
            "larger model": of_model(root, "model", 210, 3),
            "whole model": ["verify", str(root / "model")],
            "audited model": ["audit", str(root / "model"), "--num-shards", "2"],
        }
    )


def rows_of(folder):
    table = SampleStore(str(folder), writable=False).dataset().to_table()
    return table.sort_by([("chain", "ascending"), ("draw", "ascending")])


def in_one_go(folder, num_chains, num_draws):
    """The rows of the density's chains where the first command asks for so many, a block in one segment."""
    described = SampleStore(str(folder), writable=False).description()
    maker = TargetMaker(rebuild(config.Chains, described["config"], "config"))
    program = rebuild(target_program.Program, described["program"], "program")
    layout, warm = Layout(16, num_draws, (Extent(num_chains, num_draws),)), read_warm(str(folder))
    places = layout.places()
    tables = [maker.make(program, layout, warm, block, segment, None).table for block, segment in places]
    return pa.concat_tables(tables).sort_by([("chain", "ascending"), ("draw", "ascending")])


def test_a_density_is_drawn_further_after_a_kill_in_the_midst(root, done):
    *notes, whole = done["midway"]["out"].splitlines()
    assert (done["midway"]["code"], whole.partition(", digest")[0]) == (0, "whole: 1,200 rows in 3 shards")
    assert any("shards are committed: an extension to 140 chains of 50 draws has not ended" in note for note in notes)
    assert done["larger"]["code"] in (0, 6), done["larger"]["err"]
    assert done["whole"]["out"].splitlines()[-1].startswith("whole: 7,000 rows in 13 shards, digest ")
    assert done["audited"]["out"].startswith("3 of 13 shards replayed, all the same")


def test_rows_are_those_of_a_store_that_was_asked_for_at_once(root, done):
    """Where both have them, which is where the extended one has them."""
    extended, once = rows_of(root / "target"), in_one_go(root / "target", 160, 50)
    assert len(extended) == 140 * 50
    assert extended == once.filter(np.isin(once["chain"].to_numpy(), np.unique(extended["chain"].to_numpy())))


def test_what_is_judged_is_all_of_the_extended_store(root, done):
    summary = json.loads((root / "summary.json").read_text())
    assert summary["num_rows"] == 7_000
    assert 0.2 < summary["metrics"]["chains/min_chain_acceptance"] < summary["metrics"]["chains/acceptance"] < 1
    assert done["larger again"]["err"].count("done already") == 3


def test_less_or_other_is_refused_with_what_differs(done):
    assert [done[name]["code"] for name in ("fewer", "other")] == [2, 2]
    assert "target was begun otherwise: config.num_draws is 49 and was 50: go on with" in done["fewer"]["err"]
    assert "target was begun otherwise: config.burn_in is 7 and was 100: go on with" in done["other"]["err"]


def test_the_smaller_command_shrinks_nothing_and_says_what_its_verdict_is_of(done):
    assert done["small again"]["code"] in (0, 6)
    assert done["small again"]["err"].count("done already") == 3
    assert "was extended since, to 7,000 rows: the verdict is of the first 1,200" in done["small again"]["err"]
    assert "extended since" not in done["larger again"]["err"]
    assert done["judged"]["code"] == 2
    assert "was extended to 7,000 rows, and had 1,200 when this run drew them" in done["judged"]["err"]


def test_a_models_chains_are_drawn_further(root, done):
    assert {done[name]["code"] for name in ("small model", "larger model")} <= {0, 6}, done["larger model"]["err"]
    assert done["whole model"]["out"].startswith("whole: 210 rows in 8 shards, digest ")
    assert done["audited model"]["out"].startswith("2 of 8 shards replayed, all the same")
    table = rows_of(root / "model")
    assert (len(table), table["draw"].to_pylist()) == (210, [*range(3)] * 70)
