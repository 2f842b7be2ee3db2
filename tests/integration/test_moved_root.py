"""A root that was moved or copied is used where it is now: nothing reads or writes the old place."""

import shutil
from pathlib import Path

from scorefleet.tasks import config
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.records.tracking import Mirror
from scorefleet.tasks.registry.alias import Registry, find
from scorefleet.tasks.registry.register import Record, register
from scorefleet.tasks.registry.registry import fetch_model
from tests.integration.registered import FILES, artifacts_of, context_of, embedded


def test_models_are_fetched_and_recorded_under_the_new_root(root: Path, tmp_path_factory) -> None:
    register(Record(config.Register(), "r"), context_of(root), *artifacts_of(root))
    moved = tmp_path_factory.mktemp("moved with a blank") / "root"
    shutil.copytree(root, moved)
    for path in (root / "mlartifacts").rglob("weights.safetensors"):
        path.write_bytes(b"the old place is not read")
    before = sorted(path for path in root.rglob("*"))
    folder = fetch_model("models:/digits@champion", embedded(moved), moved / "fetched")
    assert {path.name for path in folder.iterdir()} == FILES
    found = find(Registry(config.Register(), "digits", moved))
    assert found is not None
    assert found[1]["data_uri"] == str(moved / "prepare")
    assert found[1]["samples_uri"] == str(moved / "sample")
    register(Record(config.Register(), "r"), context_of(moved, "b" * 64), *artifacts_of(moved))
    assert sorted(path for path in root.rglob("*")) == before


def test_a_database_that_several_roots_share_stays_as_it_is(root: Path, tmp_path_factory) -> None:
    shared = tmp_path_factory.mktemp("shared")
    shutil.copyfile(root / "mlflow.db", shared / "mlflow.db")
    (shared / "mlartifacts").mkdir()
    settings = config.Register(tracking_uri=embedded(shared))
    register(Record(settings, "r"), context_of(root), *artifacts_of(root))
    folder = fetch_model("models:/digits/1", embedded(shared), root / "fetched")
    assert {path.name for path in folder.iterdir()} == FILES


def test_a_file_that_waits_in_the_journal_is_sent_from_the_new_root(root: Path, tmp_path_factory) -> None:
    journal = Journal(root / "journal" / "key.jsonl")
    (root / "report").mkdir()
    (root / "report" / "page.html").write_text("of the old place")
    journal.artifact(root / "report" / "page.html", "report")
    moved = tmp_path_factory.mktemp("moved") / "root"
    shutil.copytree(root, moved)
    (moved / "report" / "page.html").write_text("of the new place")
    mirror = Mirror(Journal(moved / "journal" / "key.jsonl"), embedded(moved), moved / "mlartifacts", "e", "run")
    mirror.start()
    assert mirror.finish(60).num_pending == 0
    (sent,) = (moved / "mlartifacts").rglob("page.html")
    assert sent.read_text() == "of the new place"
