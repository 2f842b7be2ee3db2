"""Whatever is killed, whenever: the same command ends in the same bytes."""

import random
import subprocess

import pytest

from tests import looking
from tests.integration import tiny

pytestmark = pytest.mark.timeout(900)

MAX_KILLS = 3
ALONE = {"train__num_workers": "1", "cluster__num_actors": "0"}
WITH_RAY = {"train__num_workers": "1"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The shards of a run in one process."""
    root = tmp_path_factory.mktemp("undisturbed")
    assert tiny.finish(tiny.command("run", root, **ALONE)).returncode in (0, 6)
    return tiny.shards(root)


def run_and_kill(words: list[str], after_s: float) -> int | None:
    """The exit code, or None when the process and all that it had started were killed `after_s` seconds in."""
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=tiny.clean_environment()
    )
    try:
        return process.wait(after_s)
    except subprocess.TimeoutExpired:
        looking.kill(looking.family(process.pid))
    process.wait()
    return None


@pytest.mark.parametrize(("seed", "way", "longest_s"), [(1, WITH_RAY, 30), (2, ALONE, 15)], ids=["Ray", "alone"])
def test_a_pipeline_that_is_killed_again_and_again_ends_with_the_same_samples(
    seed, way, longest_s, undisturbed, tmp_path
):
    clock, code = random.Random(seed), None
    moments = [clock.uniform(4, longest_s) for _ in range(MAX_KILLS)]
    words = tiny.command("run", tmp_path, **way)
    for after_s in moments:
        code = run_and_kill(words, after_s)
        if code is not None:
            break
    if code is None:
        code = tiny.finish(words).returncode
    assert code in (0, 6), f"killed after {moments}"
    assert tiny.shards(tmp_path) == undisturbed, f"killed after {moments}"
