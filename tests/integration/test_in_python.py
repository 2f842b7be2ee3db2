"""scorefleet from Python: what a notebook does, in this process, without Ray."""

import json
import math
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

import scorefleet as sf
from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import DataError, StorageError, UsageError
from scorefleet.tasks.store.verify import verify
from tests import tiny_density
from tests.integration.tiny import clean_environment

pytestmark = pytest.mark.timeout(600)

SMALL = {"num_chains": 32, "num_draws": 60, "block_size": 16}
Y, NOISE = np.array([1.0, 2.5, 0.5, 3.0]), 2.0
TABLE = {"y": Y, "group": list("abab")}
BLOCKS = {"mean": [], "scale": [2]}


def of_blocks(mean, scale, data):
    """A normal mean under a normal prior, beside an exponential scale; `data` has the numbers and the text."""
    assert data["group"] == ["a", "b", "a", "b"]
    likelihood = -0.5 * ((data["y"] - mean[:, None]) / NOISE).square().sum(1)
    return likelihood - 0.5 * mean.square() - scale.sum(1)


def test_a_function_of_the_session_has_the_draws_of_the_command(tmp_path, capsys):
    draws = sf.sample(tiny_density.log_density, 2, seed=5, **SMALL)
    words = [word for key, value in SMALL.items() for word in (f"--{key}", str(value))]
    words += ["--target", "tests.tiny_density:log_density", "--dim", "2", "--seed", "5", "--cluster.num_actors", "0"]
    assert main(["sample", *words, "--root", str(tmp_path), "--summary", str(tmp_path / "s.json")]) in (0, 6)
    summary = json.loads((tmp_path / "s.json").read_text())
    assert draws.store.description()["digest"] == summary["samples_digest"]
    assert draws.verdict.metrics == summary["metrics"]
    assert verify(draws.store.uri).is_whole
    assert sf.open_store(summary["samples"]).to_arrow().num_rows == 32 * 60
    assert repr(draws).startswith("<Draws of x[0], x[1]: 32 chains of 60; ")


@pytest.fixture(scope="module")
def posterior():
    return sf.sample(of_blocks, BLOCKS, support={"scale": "positive"}, data=pd.DataFrame(TABLE), num_draws=100)


def test_blocks_have_names_and_the_law_of_their_posterior(posterior):
    """Six Monte Carlo standard errors (4e-9 in each of two)."""
    assert posterior.verdict.is_converged, posterior.verdict.reasons
    frame = posterior.to_pandas()
    assert [*frame] == ["chain", "draw", "mean", "scale[0]", "scale[1]", "log_density"]
    variance = 1 / (1 + len(Y) / NOISE**2)
    error = 6 / math.sqrt(posterior.verdict.metrics["chains/bulk_ess_min"])
    assert abs(frame["mean"].mean() - variance * Y.sum() / NOISE**2) < error * math.sqrt(variance)
    assert abs(frame["scale[1]"].mean() - 1) < error
    assert posterior.is_exact


def test_arviz_gets_every_draw_in_its_place(posterior):
    held = posterior.to_arviz(dims={"scale": ["side"]}, coords={"side": ["left", "right"]})
    assert held["posterior"]["scale"].dims == ("chain", "draw", "side")
    frame = posterior.to_pandas().set_index(["chain", "draw"])
    for chain, draw in ((0, 0), (170, 3), (255, 99)):
        row = frame.loc[(chain, draw)]
        assert held["posterior"]["mean"].sel(chain=chain, draw=draw) == row["mean"]
        assert held["posterior"]["scale"].sel(chain=chain, draw=draw, side="right") == row["scale[1]"]
        assert held["sample_stats"]["lp"].sel(chain=chain, draw=draw) == row["log_density"]


def test_a_correlation_is_a_matrix_there(tmp_path):
    draws = sf.sample(
        lambda L: torch.distributions.LKJCholesky(3, 2.0).log_prob(L),
        {"L": [3, 3]},
        support="correlation_cholesky",
        **SMALL,
    )
    factors = draws.to_dict()["L"]
    assert factors.shape == (32, 60, 3, 3)
    assert np.allclose(np.einsum("...ij,...ij->...i", factors, factors), 1)
    assert draws.names == ("L[1,0]", "L[2,0]", "L[2,1]")
    assert [path.stat().st_size > 0 for path in draws.plot().save(tmp_path)] == [True, True]
    assert "<svg" in draws.plot()._repr_html_()


def test_points_arrays_and_names_are_taken_as_they_are():
    y = torch.arange(6.0).reshape(2, 3)

    def log_density(x, data):
        assert data.dtype == torch.float64
        return -0.5 * (x - data.mean(0)).square().sum(1)

    draws = sf.sample(log_density, 3, data=y, names=["a", "b", "c"], init=np.full((4, 3), 2.0), **SMALL)
    assert draws.names == ("a", "b", "c")
    assert np.allclose(draws.to_pandas()[["a", "b", "c"]].mean(), [1.5, 2.5, 3.5], atol=6 / math.sqrt(32 * 60 / 4))


def test_data_and_function_are_part_of_what_a_root_keeps(tmp_path):
    def at(center):
        def log_density(x, data):
            return -0.5 * (x - data - center).square().sum(1)

        return log_density

    def drawn(center, y):
        return sf.sample(at(center), 1, data=np.array([y]), root=tmp_path, **SMALL)

    first, again, other_data, other_function = drawn(0, 1.0), drawn(0, 1.0), drawn(0, 5.0), drawn(9, 1.0)
    assert first.store.uri == again.store.uri
    for draws, mean in ((first, 1), (other_data, 5), (other_function, 10)):
        assert abs(draws.to_pandas()["x[0]"].mean() - mean) < 0.5


def test_the_session_is_left_as_it_was_and_any_thread_may_draw():
    torch.distributions.Distribution.set_default_validate_args(True)  # as a new session has it
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    torch.set_num_threads(2)
    before = signal.getsignal(signal.SIGINT)

    def at(center):
        return lambda x: -0.5 * (x - center).square().sum(1)

    with ThreadPoolExecutor(2) as threads:
        drawn = [*threads.map(lambda center: sf.sample(at(center), 1, **SMALL), (0.0, 9.0))]
    assert [round(float(draws.to_pandas()["x[0]"].mean()) / 9) for draws in drawn] == [0, 1]
    sf.sample(at(0.0), 1, **SMALL)
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == 2
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ValueError, match="scale"):
        torch.distributions.Normal(0.0, -1.0)
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: sf.sample(tiny_density.log_density, 2, num_chain=3), UsageError, "'num_chain' is no setting here"),
        (lambda: sf.sample(tiny_density.log_density, 2, num_chains=0), UsageError, "num_chains must be at least 1"),
        (lambda: sf.sample(tiny_density.log_density, 2, support="reals"), UsageError, "support must be real"),
        (lambda: sf.sample(tiny_density.log_density, 2, names=["a"]), UsageError, "names must be 2 names"),
        (lambda: sf.sample(tiny_density.log_density, 2, names=["a", "A"]), UsageError, "whatever their case"),
        (lambda: sf.sample(tiny_density.log_density, 2, names=["a", "Chain"]), UsageError, "none of accepted, chain"),
        (lambda: sf.sample(tiny_density.log_density, {"data": [2]}), UsageError, "none of accepted, chain, data"),
        (lambda: sf.sample("m:f", 2, address="nowhere"), UsageError, "cluster.address must be HOST:PORT"),
        (lambda: sf.sample(tiny_density.log_density, 2, root=__file__), StorageError, "is a file"),
        (lambda: sf.sample(tiny_density.log_density, 2, init=["a"]), DataError, "init is an array"),
        (lambda: sf.sample(tiny_density.log_density, {"a": [2]}, support={"b": "real"}), UsageError, "names 'b'"),
        (lambda: sf.sample(tiny_density.log_density, 2, address="auto"), UsageError, "cannot be sent to auto"),
        (lambda: sf.sample(lambda x: x, 2), DataError, "must return one log density a row"),
        (lambda: sf.sample(lambda x: 1 / 0, 2), DataError, "ZeroDivisionError"),
        (lambda: sf.sample("absent:f", 2), UsageError, "needs the module 'absent'"),
        (lambda: sf.sample("given:f", 2), UsageError, "a Python session, which is gone"),
        (lambda: sf.sample(of_blocks, {"mean": []}, data=np.array(["a"])), DataError, "must hold numbers"),
        (lambda: sf.sample(of_blocks, {"mean": []}, data="absent.csv"), DataError, "absent.csv does not exist"),
        (lambda: sf.fit({"a": [1.0, 2.0]}, width=-1), UsageError, "train.width"),
        (lambda: sf.open_store("/absent"), StorageError, "absent"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_raised_in_one_line(call, kind, said):
    with pytest.raises(kind, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)


BARE = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ray", "mlflow", "matplotlib", "jinja2", "arviz_base"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
import math
import numpy as np, pandas as pd, scorefleet as sf
from tests import tiny_density

draws = sf.sample(tiny_density.log_density, 2, num_chains=32, num_draws=60)
assert len(draws.to_pandas()) == 32 * 60
random = np.random.default_rng(0)
a = random.normal(3, 1, 400)
frame = pd.DataFrame({"a": a, "b": a + 0.5 * random.normal(size=400)})
model = sf.fit(frame, steps=100, width=16, root=sys.argv[1])
assert sf.fit(frame, steps=100, width=16, root=sys.argv[1]).folder == model.folder
assert model.log_z.low < model.log_z.estimate < model.log_z.high
draws = model.sample(128, num_levels=12)
assert draws.names == ("a", "b")
assert abs(draws.to_pandas()["b"].mean() - 3) < 6 * math.sqrt(1.25 / 128) + 0.2  # six standard errors, .2 of the model
assert np.isfinite(model.log_prob(draws.to_pandas())).all()

from scorefleet.pipelines.cli import main
assert main(["run", "--data", "sklearn:wine", "--root", sys.argv[1]]) == 2
"""


def test_without_extras_a_density_is_drawn_and_a_model_fitted_sampled_and_scored(tmp_path):
    words = [sys.executable, "-W", "error::ResourceWarning", "-c", BARE, str(tmp_path)]
    done = subprocess.run(words, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "this needs jinja2: pip install 'scorefleet[report]'" in done.stderr


RUN = """
import sys, scorefleet as sf
done = sf.run(sys.argv[1], {"root": sys.argv[2], "train.num_steps": 60})
assert done.report.is_file() and done.store.to_arrow().num_rows == 60, done
assert "ray" not in sys.modules
"""


def test_a_whole_run_is_a_call(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "prepare: {data: 'sklearn:wine'}\ntrain: {num_workers: 1, width: 16}\ncluster: {num_actors: 0}\n"
        "sample: {num_levels: 6, steps_per_level: 3, num_chains: 60, num_control_chains: 64}\n"
        "normalise: {num_populations: 4, num_particles: 32}\n"
    )
    words = [sys.executable, "-c", RUN, str(tmp_path / "config.yaml"), str(tmp_path / "runs")]
    done = subprocess.run(words, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
