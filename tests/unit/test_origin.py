"""A store is gone on with by what began it, and by nothing else."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.fleet import origin
from scorefleet.tasks.store import document


def begun(seed=1, **config):
    settings = {"num_chains": 4, "num_draws": 2, "kernel": "mala"} | config
    return origin.origin_of("scorefleet.tasks.fleet.origin", seed, settings, {"model_digest": "a"})


def claim(folder, tune=dict, **config):
    return origin.claim(str(folder), begun(**config), tune)


def test_what_was_tuned_first_holds(tmp_path):
    assert claim(tmp_path, lambda: {"step": 0.5}) == ({"step": 0.5}, ((4, 2),))
    assert claim(tmp_path, lambda: pytest.fail("it is tuned")) == ({"step": 0.5}, ((4, 2),))


def test_another_configuration_is_refused_with_what_differs(tmp_path):
    origin.claim(str(tmp_path), begun(), dict)
    with pytest.raises(UsageError, match=r": config.kernel is hmc and was mala; seed is 4 and was 1: go on[^\n]*$"):
        claim(tmp_path, lambda: pytest.fail("nothing may be computed"), seed=4, kernel="hmc", num_draws=3)
    assert [path.name for path in tmp_path.iterdir()] == [origin.ORIGIN]


def test_more_is_written_down_and_less_is_refused(tmp_path):
    claim(tmp_path)
    assert claim(tmp_path, num_chains=5, num_draws=9).extents == ((4, 2), (5, 9))
    assert claim(tmp_path, num_chains=5, num_draws=9).extents == ((4, 2), (5, 9))
    assert claim(tmp_path, num_chains=6, num_draws=9).extents == ((4, 2), (5, 9), (6, 9))
    for less in ({}, {"num_chains": 7, "num_draws": 8}, {"num_chains": 5, "num_draws": 99}):
        with pytest.raises(UsageError, match=r"config.num_(chains|draws) is [0-9] and was [69]"):
            claim(tmp_path, **less)
    assert len(list(tmp_path.iterdir())) == 3


def test_of_commands_that_extend_at_once_each_is_among_the_sizes_or_refused(tmp_path):
    """Larger ones come after smaller ones, whoever was first: sizes that do not hold each other exclude each other."""
    claim(tmp_path)
    wanted = [{"num_chains": 4 + k % 4, "num_draws": 2 + k // 4} for k in range(1, 12)]

    def extend(config):
        try:
            return claim(tmp_path, **config).extents
        except UsageError:
            return None

    with ThreadPoolExecutor(len(wanted)) as pool:
        found = [extents for extents in pool.map(extend, wanted) if extents]
    last = max(found, key=len)
    assert len(found) >= 1
    assert all(last[: len(extents)] == extents for extents in found)
    assert all(after == tuple(map(max, after, before)) for before, after in pairwise(last))


def test_a_size_that_is_published_counts_though_its_file_is_lost(tmp_path):
    claim(tmp_path)
    (tmp_path / "dataset.json").write_bytes(document.seal({"extents": [[4, 2], [4, 5]]}))
    assert claim(tmp_path, num_draws=9).extents == ((4, 2), (4, 5), (4, 9))
    assert [path.name for path in tmp_path.glob("extension-*")] == ["extension-0002.json"]


def test_an_extension_that_is_damaged_is_one_line(tmp_path):
    claim(tmp_path)
    claim(tmp_path, num_draws=3)
    for text in ("", "{}", '{"num_draws": 5, "num_chains": 5}', '{"num_chains": 3, "num_draws": 9}'):
        (tmp_path / "extension-0001.json").write_text(text)
        with pytest.raises(StorageError, match=r"^extension-0001.json [^\n]*$"):
            claim(tmp_path, num_draws=3)


@pytest.mark.parametrize("library", origin.DECIDING)
def test_another_version_of_a_library_is_refused(library, tmp_path, monkeypatch):
    origin.claim(str(tmp_path), begun(), dict)
    now = origin.versions() | {library: "0.0.1"}
    monkeypatch.setattr(origin, "versions", lambda: now)
    with pytest.raises(UsageError, match=f"versions.{library} is 0.0.1 and was "):
        origin.claim(str(tmp_path), begun(), dict)


def test_an_origin_is_written_again_byte_for_byte(tmp_path):
    origin.claim(str(tmp_path), begun(), lambda: [0.1, 1e-300])
    assert origin.to_bytes(origin.read(str(tmp_path))) == (tmp_path / origin.ORIGIN).read_bytes()


@pytest.mark.parametrize(
    "change",
    [{"config": None}, {"config": []}, {"versions": "2"}, {"seed": None}, {"tuned": None}],
    ids=["no configuration", "a list", "versions", "no seed", "nothing tuned"],
)
def test_an_origin_without_what_every_origin_says_is_one_line(tmp_path, change):
    claim(tmp_path)
    kept = {key: value for key, value in (origin.read(str(tmp_path)) | change).items() if value is not None}
    (tmp_path / origin.ORIGIN).write_text(json.dumps(kept))
    with pytest.raises(StorageError, match=r"^origin.json of [^\n]* is damaged: it must say seed, [^\n]*$"):
        claim(tmp_path)


def test_an_origin_of_no_size_is_one_line(tmp_path):
    claim(tmp_path)
    kept = origin.read(str(tmp_path))
    del kept["config"]["num_draws"]
    (tmp_path / origin.ORIGIN).write_text(json.dumps(kept))
    with pytest.raises(StorageError, match=r"^origin.json of [^\n]* must say num_draws, a whole number[^\n]*$"):
        claim(tmp_path)
