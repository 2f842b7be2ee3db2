"""A user's own density through the command line, in processes of their own."""

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
import safetensors.numpy
from scipy import stats

from scorefleet.pipelines.cli import main
from scorefleet.tasks.mcmc.warmup import frozen
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.subsets import vectors
from scorefleet.tasks.store.verify import verify
from tests import looking
from tests.integration.test_report import Page
from tests.integration.tiny import clean_environment, summary_of

pytestmark = pytest.mark.timeout(600)

DENSITY = '''
"""Two normals of correlation .95, beside them a Gamma(3, 2), and a normal whose scale is exp of the first."""

from rates import RATE

def log_density(x):
    a, b, s, c = x.unbind(1)
    funnel = -0.5 * c**2 * (-2 * a).exp() - a
    return funnel - 0.5 * (a**2 + (b - 0.95 * a) ** 2 / (1 - 0.95**2)) + 2 * s.log() - RATE * s
'''
RATES = "RATE = 2\n"
LOG_Z = 1.5 * math.log(2 * math.pi) + 0.5 * math.log(1 - 0.95**2) + math.lgamma(3) - 3 * math.log(2)
WORDS = {"target": "posterior:log_density", "dim": "4", "support": "real*2, positive, real", "num-chains": "200"}
LAWS = (stats.norm(), stats.norm(), stats.gamma(3, scale=0.5))
REPOSITORY = Path(__file__).parents[2]


def command(root, **changes):
    chosen = WORDS | {"num-draws": "60", "root": str(root), "summary": str(root / "summary.json")}
    chosen |= {key.replace("__", "."): value for key, value in changes.items()}
    words = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    return [sys.executable, "-m", "scorefleet", "sample", *words]


def environment(*folders):
    path = os.pathsep.join(filter(None, [str(REPOSITORY), *folders, os.environ.get("PYTHONPATH")]))
    return clean_environment() | {"PYTHONPATH": path}


def sample(folder, root, *path, **changes):
    return subprocess.run(
        command(root, **changes), cwd=folder, env=environment(*path), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def sampled(tmp_path_factory, empty_database):
    folder = tmp_path_factory.mktemp("density")
    (folder / "posterior.py").write_text(DENSITY)
    (folder / "rates.py").write_text(RATES)
    for name in ("one", "two", "ladder-one", "ladder-three"):
        (folder / name).mkdir()
        shutil.copyfile(empty_database, folder / name / "mlflow.db")
    done = sample(folder, folder / "one", cluster__num_actors="0")
    assert done.returncode == 0, done.stderr
    assert "The chains converged. Not tested: R-hat cannot detect modes that no chain visited" in done.stderr
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


def test_what_the_fleet_left_is_whole_and_comes_out_again(sampled, monkeypatch, capsys):
    folder, summary = sampled
    monkeypatch.chdir(folder)
    assert main(["verify", summary["samples"]]) == 0
    assert f"digest {summary['samples_digest']}" in capsys.readouterr().out
    assert main(["audit", summary["samples"], "--num-shards", "2"]) == 0
    assert "2 of 4 shards replayed, all the same" in capsys.readouterr().out


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
    assert "R-hat cannot detect modes that no chain visited" in sampled[1]["not_tested"][0]


def test_the_number_of_actors_changes_no_byte(sampled):
    folder, first = sampled
    done = sample(folder, folder / "two", cluster__num_actors="2")
    assert done.returncode == 0, done.stderr
    assert summary_of(folder / "two" / "summary.json")["samples_digest"] == first["samples_digest"]


LADDER = {"num-levels": "4", "log-z": "true", "num-chains": "160", "num-draws": "30", "burn-in": "20"}


@pytest.fixture(scope="module")
def laddered(sampled):
    """The density with a ladder and log Z: without actors; and from three, killed at their first commit, after which
    none go on from another folder with the density's on the path.
    """
    folder, _ = sampled
    one, three = folder / "ladder-one", folder / "ladder-three"
    done = sample(folder, one, **LADDER, cluster__num_actors="0")
    assert done.returncode in (0, 6), done.stderr
    words = command(three, **LADDER, cluster__num_actors="3")
    process = subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not list(three.glob("sample/*/draws/commits/*")):
        time.sleep(0.02)
    looking.kill(looking.family(process.pid))
    process.wait()
    assert not list(three.glob("sample/*/draws/dataset.json"))
    done = sample(three, three, str(folder), **LADDER, cluster__num_actors="0")
    assert done.returncode in (0, 6), done.stderr
    return summary_of(one / "summary.json"), summary_of(three / "summary.json")


def test_replicas_survive_a_kill_and_another_number_of_actors(laddered):
    first, second = laddered
    assert second["samples_digest"] == first["samples_digest"]
    assert second["metrics"]["ladder/round_trips"] == first["metrics"]["ladder/round_trips"] > 100
    descriptions = [SampleStore(one["samples"], writable=False).description() for one in laddered]
    assert descriptions[0]["evidence"] == descriptions[1]["evidence"]


def test_replicas_come_out_again(sampled, laddered, monkeypatch, capsys):
    monkeypatch.chdir(sampled[0])
    samples = laddered[1]["samples"]
    assert main(["verify", samples]) == 0
    assert main(["replay", samples, "--block", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "block 2 segment 0: equal"


def test_log_z_is_that_of_the_users_own_coordinates(laddered):
    """Five standard errors of an interval of two, of 32 populations, and .05 nat."""
    metrics = laddered[0]["metrics"]
    error = (metrics["evidence/high"] - metrics["evidence/low"]) / 4
    assert abs(metrics["evidence/log_z"] - LOG_Z) < min(5 * error, 0.05)


def test_what_log_z_rests_on_is_whole(laddered):
    proof = verify(str(Path(laddered[0]["samples"]).with_name("evidence")))
    assert proof.is_whole, proof.findings
    assert sum(entry.rows for entry in proof.entries) == 32


def test_draws_at_the_foot_of_the_ladder_have_the_law_of_the_density(laddered):
    """The last draw of each of 160 chains: Kolmogorov-Smirnov, 1e-6 in three tests."""
    table = SampleStore(laddered[0]["samples"], writable=False).dataset().to_table()
    last = vectors(table["position"])[table["draw"].to_numpy() == 29]
    assert min(stats.kstest(last[:, k], law.cdf).pvalue for k, law in enumerate(LAWS)) > 1e-6 / 3


@pytest.mark.parametrize("which", ["plain", "ladder"])
def test_the_page_is_whole_and_shows_what_there_is(sampled, laddered, which):
    summary = sampled[1] if which == "plain" else laddered[0]
    path = Path(summary["report"])
    parsed = Page(path.read_text())
    text = " ".join(" ".join(parsed.words).split())
    assert ("The chains converged." if summary["is_converged"] else "did not converge.") in text
    assert ("What to do next" in text) == (not summary["is_converged"])
    assert ("R-hat cannot detect modes that no chain visited" in text) == summary["is_converged"]
    assert ("log Z =" in text) == (which == "ladder")
    assert "None" not in text
    drawings = [attributes["aria-label"] for attributes in parsed.having("svg")]
    assert len(drawings) >= (6 if which == "plain" else 9)
    ids = [attributes["id"] for _, attributes in parsed.attributes if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in parsed.having("a"):
        assert (path.parent / attributes["href"]).stat().st_size > 0
    for attributes in parsed.having("link", "script", "img", "image", "use", "iframe"):
        for key in ("src", "href", "xlink:href"):
            assert attributes.get(key, "#").startswith(("data:", "#"))


def test_the_summary_knows_its_own_error(sampled):
    """Means of N(0, 1), N(0, 1) and Gamma(3, 2), within 5 of their Monte Carlo standard errors, 6e-7 each; so is the
    95 % quantile of the last, 3.148.
    """
    summary = pyarrow.csv.read_csv(Path(sampled[1]["report"]).parent / "tables" / "summary.csv").to_pylist()
    for row, mean in zip(summary[1:4], (0, 0, 1.5), strict=True):
        assert abs(row["mean"] - mean) < 5 * row["mean_error"] < 0.2
    assert abs(summary[3]["q95"] - stats.gamma(3, scale=0.5).ppf(0.95)) < 5 * summary[3]["q95_error"] < 0.5


def test_the_same_command_again_does_nothing_and_a_changed_density_starts_anew(sampled):
    folder, _ = sampled
    again = sample(folder, folder / "one", cluster__num_actors="0")
    assert again.returncode == 0
    assert "sample   done already" in again.stderr
    assert "report   done already" in again.stderr
    (folder / "rates.py").write_text("RATE = 4\n")  # not the density's own file, but one that it imports
    planned = subprocess.run(
        [
            sys.executable,
            "-m",
            "scorefleet",
            "sample",
            "--target",
            "posterior:log_density",
            "--dim",
            "4",
            "--dry-run",
        ],
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
        ({"support": "reals*3"}, 2, "must be real, positive, box, above"),
        ({"dim": "2", "support": "real"}, 3, "raised ValueError"),
        ({"kernel": "nuts"}, 2, "kernel must be"),
        ({"num-levels": "2"}, 2, "num_levels must be 1, which is no ladder, or at least 3"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_one_line(tmp_path, changes, code, words):
    (tmp_path / "posterior.py").write_text(DENSITY)
    (tmp_path / "rates.py").write_text(RATES)
    done = sample(tmp_path, tmp_path, **changes)
    assert done.returncode == code
    lines = [line for line in done.stderr.splitlines() if not line.startswith("sample ")]
    assert len(lines) == 1, done.stderr
    assert words in lines[0]
