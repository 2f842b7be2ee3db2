"""A user's own density through the command line, in processes of their own."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from scipy import stats

from tasks.mcmc import frozen
from tasks.store.manifest import SampleStore
from tasks.subsets import vectors
from tests.integration.tiny import clean_environment, summary_of

DENSITY = '''
"""Two normals of correlation .95, beside them a Gamma(3, 2), and a normal whose scale is exp of the first."""

def log_density(x):
    a, b, s, c = x.unbind(1)
    funnel = -0.5 * c**2 * (-2 * a).exp() - a
    return funnel - 0.5 * (a**2 + (b - 0.95 * a) ** 2 / (1 - 0.95**2)) + 2 * s.log() - 2 * s
'''
WORDS = {"target": "posterior:log_density", "dim": "4", "support": "real*2, positive, real", "num-chains": "200"}
LAWS = (stats.norm(), stats.norm(), stats.gamma(3, scale=0.5))
REPOSITORY = Path(__file__).parents[2]


def sample(folder, root, **changes):
    chosen = WORDS | {"num-draws": "60", "root": str(root), "summary": str(root / "summary.json")}
    chosen |= {key.replace("__", "."): value for key, value in changes.items()}
    words = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "sample", *words],
        cwd=folder,
        env=clean_environment() | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("density")
    (folder / "posterior.py").write_text(DENSITY)
    (folder / "one").mkdir()
    done = sample(folder, folder / "one", cluster__num_actors="1")
    assert done.returncode == 0, done.stderr
    return folder, summary_of(folder / "one" / "summary.json")


def test_draws_have_the_law_of_the_density(sampled):
    """The last draw of each of 200 chains, which started at 64 points: Kolmogorov-Smirnov, 1e-6 in four tests."""
    store = SampleStore(sampled[1]["samples"], writable=False)
    table = store.dataset().to_table()
    assert len(table) == 200 * 60
    last = vectors(table["position"])[table["draw"].to_numpy() == 59]
    assert min(stats.kstest(last[:, k], law.cdf).pvalue for k, law in enumerate(LAWS)) > 1e-6 / 4
    assert stats.kstest(last[:, 3] * np.exp(-last[:, 0]), "norm").pvalue > 1e-6 / 4
    assert abs(np.corrcoef(last[:, 0], last[:, 1])[0, 1] - 0.95) < 5 * (1 - 0.95**2) / math.sqrt(200)
    assert vectors(table["position"]).dtype == np.float64


def test_the_log_density_is_the_users_own(sampled):
    table = SampleStore(sampled[1]["samples"], writable=False).dataset().head(50)
    a, b, s, c = vectors(table["position"]).T
    expected = (
        -0.5 * c**2 * np.exp(-2 * a) - a - 0.5 * (a**2 + (b - 0.95 * a) ** 2 / (1 - 0.95**2)) + 2 * np.log(s) - 2 * s
    )
    assert np.allclose(table["log_density"].to_numpy(), expected, atol=1e-9)


def test_the_warm_up_froze_what_the_fleet_used(sampled):
    """The scale of the last coordinate depends on the first, which is a bend."""
    (warm,) = (Path(sampled[0]) / "one").rglob("warm.safetensors")
    tuned = frozen.from_arrays(safetensors.numpy.load(warm.read_bytes()))
    assert tuned.coordinates.bend is not None
    assert tuned.jumps is not None


def test_the_verdict_rests_on_rhat_and_effective_draws(sampled):
    metrics = sampled[1]["metrics"]
    assert metrics["chains/nested_rhat_max"] < 1.01
    assert metrics["chains/bulk_ess_min"] > 400
    assert metrics["chains/is_exact"] == 1
    assert sampled[1]["is_converged"]


def test_the_number_of_actors_changes_no_byte(sampled):
    folder, first = sampled
    (folder / "two").mkdir()
    done = sample(folder, folder / "two", cluster__num_actors="3")
    assert done.returncode == 0, done.stderr
    assert summary_of(folder / "two" / "summary.json")["samples_digest"] == first["samples_digest"]


def test_the_same_command_again_does_nothing_and_a_changed_density_starts_anew(sampled):
    folder, _ = sampled
    again = sample(folder, folder / "one", cluster__num_actors="1")
    assert again.returncode == 0
    assert "sample   done already" in again.stderr
    (folder / "posterior.py").write_text(DENSITY.replace("- 2 * s", "- 4 * s"))
    planned = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "sample", "--target", "posterior:log_density", "--dry-run"],
        cwd=folder,
        env=clean_environment() | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "sample   would run" in planned.stdout


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"target": "posterior"}, 2, "target must be MODULE:FUNCTION"),
        ({"target": "posterior:density"}, 2, "it has log_density"),
        ({"support": "real, positive"}, 2, "as many coordinates as dim, 4"),
        ({"support": "reals*3"}, 2, "must be real, positive, simplex or box"),
        ({"dim": "2", "support": "real"}, 3, "raised ValueError"),
        ({"kernel": "nuts"}, 2, "kernel must be"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_one_line(tmp_path, changes, code, words):
    (tmp_path / "posterior.py").write_text(DENSITY)
    done = sample(tmp_path, tmp_path, **changes)
    assert done.returncode == code
    lines = [line for line in done.stderr.splitlines() if not line.startswith("sample ")]
    assert len(lines) == 1, done.stderr
    assert words in lines[0]
