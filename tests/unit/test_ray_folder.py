"""A Ray of our own has a folder that nobody else may enter, whose path its sockets have room for."""

import os
import resource
import stat

import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.fleet.ray_folder import LONGEST_SOCKET, SOCKET, make_ray_folder, require_room_for_ray


@pytest.fixture
def temporary(tmp_path_factory, monkeypatch):
    """A temporary folder of this test."""
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    return folder


def test_nobody_else_may_enter_it(temporary):
    before = os.umask(0)
    try:
        folder = make_ray_folder()
    finally:
        os.umask(before)
    assert folder.parent.parent == temporary
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_one_that_was_open_to_others_is_closed(temporary):
    make_ray_folder().parent.chmod(0o777)
    assert stat.S_IMODE(make_ray_folder().parent.stat().st_mode) == 0o700


def test_one_that_another_has_put_there_is_refused(temporary, tmp_path):
    (temporary / f"scorefleet-{os.geteuid()}").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="is another user's, or no folder: remove it, or set RAY_TMPDIR"):
        make_ray_folder()


@pytest.mark.parametrize("spare", [0, -1])
def test_a_path_of_which_the_sockets_have_no_room_is_refused(spare, monkeypatch):
    own = f"/scorefleet-{os.geteuid()}/ray"
    folder = "/tmp/é"
    folder += "x" * (LONGEST_SOCKET - len(SOCKET) - len(own) - spare - len(folder.encode()))
    monkeypatch.setenv("RAY_TMPDIR", folder)
    if spare == 0:
        require_room_for_ray()
    else:
        with pytest.raises(UsageError, match=r"TMPDIR is too long for the sockets of Ray, \d+ bytes where at most \d+"):
            require_room_for_ray()


def test_it_is_refused_before_anything_runs(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/" + "x" * 80)
    words = ["sample", "--target", "tests.tiny_density:log_density", "--dim", "2", "--root", str(tmp_path / "root")]
    assert main([*words, "--dry-run"]) == main(words) == 2
    assert all("set RAY_TMPDIR to a shorter folder" in line for line in capsys.readouterr().err.splitlines())
    assert [*tmp_path.iterdir()] == []


def test_too_few_files_are_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 128))
    with pytest.raises(UsageError, match="only 128 files can be open at once, and Ray needs 256: raise ulimit -n"):
        require_room_for_ray()
