"""The mirror against real MLflow: everything is there once, and a bad server costs a run nothing."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from scorefleet.tasks.records.replay_journal import Replay
from scorefleet.tasks.records.tracking import Journal, Mirror, MirrorStatus
from scorefleet.tasks.records.tracking_server import connect, open_run
from tests import faulty_proxy

REPOSITORY = Path(__file__).parents[2]


def embedded(root: Path) -> str:
    return f"sqlite:///{root}/mlflow.db"


def mirror_of(journal: Journal, uri: str, root: Path) -> Mirror:
    return Mirror(journal, uri, root / "mlartifacts", "scorefleet", "digits")


def send(journal: Journal, uri: str, root: Path) -> MirrorStatus:
    mirror = mirror_of(journal, uri, root)
    mirror.start()
    return mirror.finish(60)


def record_a_run(journal: Journal, folder: Path) -> None:
    page = folder / "report.html"
    page.write_text("<p>a page</p>")
    journal.params({"train.width": 64, "uri": "postgresql://me:canary@host/db"})
    journal.tags({"git_commit": "0" * 40})
    for step in range(1200):
        journal.metrics({"train/loss": 1 / (1 + step), "train/time": step / 7}, step)
    journal.artifact(page, "report")
    journal.status("FINISHED")


def points(client: MlflowClient, run_id: str, key: str) -> list[tuple[int, float]]:
    return sorted((metric.step, metric.value) for metric in client.get_metric_history(run_id, key))


def require_the_run(client: MlflowClient, run_id: str) -> None:
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"train.width": "64", "uri": "postgresql://[redacted]@host/db"}
    assert run.data.tags["git_commit"] == "0" * 40
    assert points(client, run_id, "train/loss") == [(step, 1 / (1 + step)) for step in range(1200)]
    assert [file.path for file in client.list_artifacts(run_id, "report")] == ["report/report.html"]


def only_run(client: MlflowClient, name: str = "scorefleet") -> str:
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    return run.info.run_id


def test_a_run_arrives_whole_in_a_database_that_did_not_exist(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal" / "key.jsonl")
    record_a_run(journal, tmp_path)
    status = send(journal, embedded(tmp_path), tmp_path)
    assert (status.num_pending, status.reason) == (0, None)
    assert status.run_id is not None
    require_the_run(connect(embedded(tmp_path)), status.run_id)
    assert (tmp_path / "mlartifacts" / status.run_id / "artifacts/report/report.html").exists()
    assert not Path("mlruns").exists()


def test_a_run_arrives_whole_at_a_server_without_a_word(
    tmp_path: Path, mlflow_server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path / "journal" / "arrives-whole.jsonl")
    record_a_run(journal, tmp_path)
    status = send(journal, mlflow_server, tmp_path)
    assert (status.num_pending, status.reason) == (0, None)
    assert status.run_id is not None
    require_the_run(connect(mlflow_server), status.run_id)
    assert capfd.readouterr() == ("", "")


def test_sending_again_changes_nothing_even_if_nobody_knows_what_was_sent(root: Path) -> None:
    journal = Journal(root / "journal" / "key.jsonl")
    record_a_run(journal, root)
    first = send(journal, embedded(root), root)
    (root / "journal" / "key.sent.json").unlink()
    assert send(journal, embedded(root), root) == first
    client = connect(embedded(root))
    require_the_run(client, only_run(client))


def test_a_point_recorded_twice_is_there_once_with_its_first_value(root: Path) -> None:
    journal = Journal(root / "journal" / "key.jsonl")
    for step, value in [(1, 0.5), (2, 0.25), (1, 9.0), (3, 0.125)]:
        journal.metrics({"loss": value}, step)
    send(journal, embedded(root), root)
    journal.metrics({"loss": 9.0}, 2)
    status = send(journal, embedded(root), root)
    assert status.run_id is not None
    assert points(connect(embedded(root)), status.run_id, "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]


def test_a_request_that_arrives_twice_leaves_one_row(root: Path) -> None:
    journal = Journal(root / "journal" / "key.jsonl")
    journal.metrics({"loss": 0.5, "nan": float("nan")}, 1)
    client = connect(embedded(root))
    run_id = open_run(client, journal, "scorefleet", root / "mlartifacts", "digits")
    unaware = [Replay(client, run_id), Replay(client, run_id)]
    for replay in unaware:
        replay.send(journal.read(0)[0])
    assert points(client, run_id, "loss") == [(1, 0.5)]
    assert len(points(client, run_id, "nan")) == 1


CHILD = """
import sys
from pathlib import Path
import scorefleet.tasks.records.tracking
from scorefleet.tasks.records.tracking import Journal, Mirror
scorefleet.tasks.records.tracking.ENTRIES_AT_ONCE = 40
root = Path(sys.argv[1])
journal, uri = Journal(root / "journal/key.jsonl"), f"sqlite:///{root}/mlflow.db"
mirror = Mirror(journal, uri, root / "mlartifacts", "scorefleet", "digits")
mirror.start()
mirror.finish(60)
"""


def test_each_point_is_there_once_after_kills(root: Path) -> None:
    journal = Journal(root / "journal" / "key.jsonl")
    record_a_run(journal, root)
    sent = root / "journal" / "key.sent.json"
    for _ in range(3):
        before = sent.read_text() if sent.exists() else ""
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(root)], cwd=REPOSITORY)
        while child.poll() is None and (not sent.exists() or sent.read_text() == before):
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    status = send(journal, embedded(root), root)
    client = connect(embedded(root))
    assert only_run(client) == status.run_id
    require_the_run(client, only_run(client))


def test_two_processes_that_make_one_database_at_once_both_work(tmp_path: Path) -> None:
    code = f"from scorefleet.tasks.records.tracking_server import connect; connect('sqlite:///{tmp_path}/mlflow.db').search_experiments()"
    children = [subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]


def test_a_database_half_made_by_a_killed_process_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db.unfinished").write_bytes(b"half a database")
    journal = Journal(tmp_path / "journal" / "key.jsonl")
    journal.metrics({"loss": 1.0}, 1)
    assert send(journal, embedded(tmp_path), tmp_path).num_pending == 0


@pytest.mark.parametrize("server", ["dead_server", "stalling_server", "failing_server"])
def test_a_bad_server_costs_a_run_nothing(
    server: str, tmp_path: Path, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = request.getfixturevalue(server).replace("://", "://me:canary@")
    journal = Journal(tmp_path / "journal" / "key.jsonl")
    mirror = mirror_of(journal, uri, tmp_path)
    start = time.monotonic()
    mirror.start()
    record_a_run(journal, tmp_path)
    assert time.monotonic() - start < 1
    status = mirror.finish(10)
    assert time.monotonic() - start < 11.5
    assert (status.run_id, status.num_pending) == (None, 1204)
    shown = capfd.readouterr().err
    assert status.reason is not None
    assert shown.count("\n") == 1
    assert "127.0.0.1" in shown
    assert "canary" not in shown + status.reason + (tmp_path / "journal" / "key.jsonl").read_text()


def test_what_fails_because_the_process_ends_is_not_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The last line of a command is what has ended it."""
    journal = Journal(tmp_path / "journal" / "key.jsonl")
    journal.metrics({"loss": 1.0}, 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mirror = mirror_of(journal, f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path)
        mirror.start()
        asking, _ = listener.accept()
        assert mirror.finish(0.1).num_pending == 1
        asking.close()
    mirror._thread.join(60)
    assert not mirror._thread.is_alive()
    assert capfd.readouterr().err == ""


def test_a_run_that_goes_on_does_not_wait_while_the_server_is_asked_for_it(tmp_path: Path, mlflow_server: str) -> None:
    asked, is_over = threading.Event(), threading.Event()

    def stall(method: str, path: str) -> faulty_proxy.Fault:
        if path != "/health":
            asked.set()
            is_over.wait()
        return "none"

    path = tmp_path / "journal" / "goes-on.jsonl"
    Journal(path).metrics({"loss": 1.0}, 0)  # of a process that was killed
    with faulty_proxy.before(mlflow_server) as proxy:
        proxy.choose, journal = stall, Journal(path)
        mirror = mirror_of(journal, proxy.endpoint, tmp_path)
        mirror.start()
        assert asked.wait(60)
        start = time.monotonic()
        journal.metrics({"loss": 0.5}, 1)
        assert time.monotonic() - start < 1
        is_over.set()
        status = mirror.finish(60)
    assert status.num_pending == 0
    assert status.run_id is not None
    assert points(connect(mlflow_server), status.run_id, "loss") == [(0, 1.0), (1, 0.5)]


def test_what_waited_for_a_dead_server_arrives_with_the_next_start(
    tmp_path: Path, dead_server: str, mlflow_server: str
) -> None:
    journal = Journal(tmp_path / "journal" / "next-start.jsonl")
    record_a_run(journal, tmp_path)
    assert send(journal, dead_server, tmp_path).num_pending == 1204
    status = send(Journal(journal.path), mlflow_server, tmp_path)
    assert status.num_pending == 0
    assert status.run_id is not None
    require_the_run(connect(mlflow_server), status.run_id)


def test_a_slow_server_gets_everything_while_the_run_goes_on(tmp_path: Path, slow_server: str) -> None:
    journal = Journal(tmp_path / "journal" / "slow.jsonl")
    record_a_run(journal, tmp_path)
    status = send(journal, slow_server, tmp_path)
    assert status.num_pending == 0
    assert status.run_id is not None
    require_the_run(connect(slow_server), status.run_id)


def test_a_users_own_settings_of_mlflow_stay() -> None:
    code = "from scorefleet.tasks.records.tracking_server import limit_mlflow; import os; limit_mlflow(); "
    code += "print(*(os.environ['MLFLOW_HTTP_REQUEST_' + key] for key in ('TIMEOUT', 'MAX_RETRIES')))"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "77"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == ["77", "2"]
