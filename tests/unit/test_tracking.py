import json
import subprocess
import sys
from pathlib import Path

import pytest

from scorefleet.tasks import config
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.records.tracking import Journal, Mirror, tracking_uri
from scorefleet.tasks.records.tracking_server import endpoint_digest


def test_importing_tracking_imports_neither_mlflow_nor_torch() -> None:
    code = "import scorefleet.tasks.records.tracking, sys; sys.exit(len({'mlflow', 'torch', 'ray'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_mlflow_is_a_sqlite_file_under_the_root_unless_a_server_is_given(tmp_path: Path) -> None:
    assert tracking_uri(config.Register(), tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    assert tracking_uri(config.Register(tracking_uri="http://host:5000"), tmp_path) == "http://host:5000"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "postgresql://me:canary@host/db"])
def test_a_uri_that_is_neither_a_server_nor_sqlite_is_refused_without_its_password(uri: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"register\.tracking_uri must start with http://") as refused:
        tracking_uri(config.Register(tracking_uri=uri), tmp_path)
    assert "canary" not in str(refused.value)


def test_a_run_whose_journal_is_sent_contacts_no_server(tmp_path: Path) -> None:
    uri = "http://127.0.0.1:9"  # nothing listens there
    journal = Journal(tmp_path / "key.jsonl")
    journal.metrics({"loss": 1.0}, 1)
    sent = {"server": endpoint_digest(uri, "e"), "run_id": "r1", "offset": journal.path.stat().st_size}
    (tmp_path / "key.sent.json").write_text(json.dumps(sent))
    mirror = Mirror(journal, uri, tmp_path / "mlartifacts", "e", "run")
    mirror.start()
    status = mirror.finish(1.0)
    assert (status.run_id, status.num_pending, status.reason) == ("r1", 0, None)


@pytest.mark.parametrize("change", [{"server": "another"}, {}], ids=["another server", "database removed"])
def test_what_another_server_or_a_removed_database_had_is_sent_again(tmp_path: Path, change: dict[str, str]) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    journal = Journal(tmp_path / "key.jsonl")
    journal.metrics({"loss": 1.0}, 1)
    sent = {"server": endpoint_digest(uri, "e"), "run_id": "r1", "offset": journal.path.stat().st_size}
    (tmp_path / "key.sent.json").write_text(json.dumps(sent | change))
    if change:
        (tmp_path / "mlflow.db").touch()
    assert Mirror(journal, uri, tmp_path, "e", "run")._offset == 0


def test_a_note_of_what_was_sent_that_is_cut_anywhere_is_as_none(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    (tmp_path / "mlflow.db").touch()
    sent = json.dumps({"server": endpoint_digest(uri, "e"), "run_id": "r1", "offset": 7})
    for size in range(len(sent)):
        (tmp_path / "key.sent.json").write_text(sent[:size])
        assert Mirror(Journal(tmp_path / "key.jsonl"), uri, tmp_path, "e", "run")._offset == 0
    (tmp_path / "key.sent.json").write_text(sent)
    assert Mirror(Journal(tmp_path / "key.jsonl"), uri, tmp_path, "e", "run")._offset == 7


@pytest.mark.parametrize("name", ["a?b", "a?x=1", "a%20b", "a\nb"])
def test_a_root_that_mlflow_would_take_for_another_place_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="choose another --root"):
        tracking_uri(config.Register(), tmp_path / name)
    assert tracking_uri(config.Register(tracking_uri="http://host:5000"), tmp_path / name) == "http://host:5000"


@pytest.mark.parametrize("name", ["a b", "a#b", "100%", "é", "a'b", "a;b", "[a]"])
def test_odd_roots_that_mlflow_can_read_are_taken(tmp_path: Path, name: str) -> None:
    assert tracking_uri(config.Register(), tmp_path / name).endswith(f"{name}/mlflow.db")
