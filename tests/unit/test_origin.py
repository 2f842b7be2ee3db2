"""A store is gone on with by what began it, and by nothing else."""

import pytest

from tasks import origin
from tasks.errors import UsageError


def begun(seed=1, **config):
    return origin.origin_of("tasks.origin", seed, {"num_draws": 2, "kernel": "mala"} | config, {"model_digest": "a"})


def test_what_was_tuned_first_holds(tmp_path):
    assert origin.claim(str(tmp_path), begun(), lambda: {"step": 0.5}) == {"step": 0.5}
    assert origin.claim(str(tmp_path), begun(), lambda: pytest.fail("it is tuned")) == {"step": 0.5}


def test_another_configuration_is_refused_with_what_differs(tmp_path):
    origin.claim(str(tmp_path), begun(), dict)
    with pytest.raises(UsageError, match=r"config.num_draws is 3 and was 2; seed is 4 and was 1: go on with[^\n]*$"):
        origin.claim(str(tmp_path), begun(seed=4, num_draws=3), lambda: pytest.fail("nothing may be computed"))


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
