"""Which job an order is, and what is refused before anything is sent."""

import os
from pathlib import Path

import pytest

from scorefleet.pipelines.launchers import launcher_of
from scorefleet.pipelines.launchers.launcher import Job
from scorefleet.pipelines.submit import choose, exit_code_of, order_of
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.fleet.secure import cluster_token


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config.yaml").write_text("prepare:\n  data: rows.csv\n")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(**states: str) -> list[Job]:
    return [Job(name.replace("_", "-"), state, "run") for name, state in states.items()]  # type: ignore[arg-type]


def test_an_order_is_its_last_attempt_and_begins_anew_only_where_that_failed():
    assert choose("x", []) == ("x", True)
    assert choose("x", jobs(y="failed", x_9z="failed", xx="done")) == ("x", True)
    for state in ("waiting", "running", "done"):
        assert choose("x", jobs(x_2=state, x="failed")) == ("x-2", False)
    assert choose("x", jobs(x="failed")) == ("x-2", True)
    assert choose("x", jobs(x_10="stopped", x_9="failed", x="failed")) == ("x-11", True)


def test_of_a_tick_only_what_was_lost_is_begun_anew():
    assert choose("x", [Job("x", "failed", "run", exit_code=3)], is_tick=True) == ("x", False)
    assert choose("x", [Job("x", "stopped", "run")], is_tick=True) == ("x", False)
    assert choose("x", [Job("x", "failed", "run", message="node died")], is_tick=True) == ("x-2", True)
    assert choose("x", jobs(x_2="running", x="failed"), is_tick=True) == ("x-2", False)


def test_a_job_returns_what_its_command_did_and_a_lost_one_is_no_success():
    assert exit_code_of(Job("x", "done", "run", exit_code=0)) == 0
    assert exit_code_of(Job("x", "failed", "run", exit_code=6)) == 6
    assert exit_code_of(Job("x", "failed", "run", exit_code=-9)) == 137
    assert exit_code_of(Job("x", "stopped", "run")) == 143
    with pytest.raises(ServiceError, match="node died"):
        exit_code_of(Job("x", "failed", "run", message="node died"))


def order(folder: Path, *words: str, tick: str = "") -> str:
    return order_of(["run", "config.yaml", *words], folder, "canary", tick).identity


def test_what_makes_an_order_another_one(folder, monkeypatch):
    first = order(folder)
    assert order(folder) == first
    others = [order(folder, "--seed", "1"), order(folder, tick="2026-01-01T03:00")]
    monkeypatch.setenv("SCOREFLEET_SEED", "1")
    others.append(order(folder))
    monkeypatch.delenv("SCOREFLEET_SEED")
    (folder / "code.py").write_text("x = 1\n")
    others.append(order(folder))
    (folder / "code.py").unlink()
    os.utime(folder / "rows.csv", (1, 1))
    others.append(order(folder))
    assert len({first, *others}) == 6


def test_places_are_the_same_there_and_the_environment_comes_before_the_words(folder, monkeypatch):
    monkeypatch.setenv("SCOREFLEET_SEED", "1")
    words = list(order_of(["run", str(folder / "config.yaml"), "--seed", "2"], folder, "canary", "").words)
    assert words[:5] == ["-m", "scorefleet", "run", "--config", "config.yaml"]
    assert words.index("--seed=1") < words.index("--seed")
    assert words[-6:] == [
        *("--root", str(folder / "runs")),
        *("--prepare.data", str(folder / "rows.csv")),
        *("--cluster.address", "auto"),
    ]


def test_a_configuration_is_read_from_the_folder_that_is_sent_however_it_is_named(folder):
    file = folder / "config.yaml"
    for named in ([str(file)], ["--config", str(file)], [f"--config={file}"]):
        words = order_of(["run", *named], folder, "canary", "").words
        assert str(file) not in " ".join(words)
        assert "config.yaml" in " ".join(words).replace("=", " ").split()


def test_what_cannot_be_sent_is_refused(folder, tmp_path_factory):
    with pytest.raises(UsageError, match="File does not exist"):
        order_of(["run", "absent.yaml"], folder, "canary", "")
    with pytest.raises(UsageError, match="submit takes run"):
        order_of(["verify", "runs"], folder, "canary", "")
    outside = tmp_path_factory.mktemp("elsewhere") / "config.yaml"
    outside.write_text("prepare: {data: sklearn:wine}\n")
    with pytest.raises(UsageError, match="is not below"):
        order_of(["run", str(outside)], folder, "canary", "")
    with pytest.raises(UsageError, match="must be the address"):
        launcher_of("127.0.0.1:8265")
    with pytest.raises(UsageError, match=r"ray://head:10001 is Ray Client.* http://HOST:8265"):
        launcher_of("ray://head:10001")


def test_credentials_are_refused_in_words_and_configuration(folder, monkeypatch):
    uri = "http://me:hunter2@mlflow:5000"
    for words in (["--register.tracking_uri", uri], [f"--register.tracking_uri={uri}"]):
        with pytest.raises(UsageError, match="holds a credential") as refused:
            order(folder, *words)
        assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("SCOREFLEET_REGISTER__TRACKING_URI", uri)
    with pytest.raises(UsageError, match="holds a credential"):
        order(folder)
    monkeypatch.delenv("SCOREFLEET_REGISTER__TRACKING_URI")
    with (folder / "config.yaml").open("a") as file:
        file.write(f"register:\n  tracking_uri: {uri}\n")
    with pytest.raises(UsageError, match=r"config.yaml holds a credential"):
        order(folder)


def test_a_token_that_others_can_read_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "token"
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    with pytest.raises(UsageError, match="no token in"):
        cluster_token()
    file.write_text("abc\n")
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        cluster_token()
    file.chmod(0o600)
    assert cluster_token() == "abc"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "xyz")
    assert cluster_token() == "xyz"


def test_a_night_is_one_job_whatever_changes_and_a_relative_database_is_one_place(folder):
    first = order_of(["run", "config.yaml"], folder, "canary", "nightly 2026-11-25T0300").identity
    (folder / "notes.txt").write_text("new")
    with (folder / "rows.csv").open("a") as file:
        file.write("9,9\n")
    assert order_of(["run", "config.yaml"], folder, "canary", "nightly 2026-11-25T0300").identity == first
    assert order_of(["run", "config.yaml"], folder, "canary", "nightly 2026-11-26T0300").identity != first
    words = [*order_of(["run", "config.yaml", "--register.tracking_uri", "sqlite:///m.db"], folder, "canary", "").words]
    assert words[words.index("--cluster.address") - 1] == f"sqlite:///{folder / 'm.db'}"
