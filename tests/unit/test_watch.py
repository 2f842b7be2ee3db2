"""What remote workers say reaches the journal, and where they say nothing for a while people are told why."""

import threading
from types import SimpleNamespace

from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.training import watch
from scorefleet.tasks.training.recorder import Recorder


def mailbox_of(*messages):
    """One that has these messages, a batch at a time, and then no more."""
    batches = iter(messages)
    return SimpleNamespace(take=SimpleNamespace(remote=lambda: next(batches, [])))


def test_each_metric_of_a_step_is_recorded_once_and_silence_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(watch.ray, "get", lambda answer: answer)
    monkeypatch.setattr(watch, "SILENT_S", 1.5)
    journal, told = Journal(tmp_path / "journal.jsonl"), threading.Semaphore(0)
    mailbox = mailbox_of([(1, {"loss": 0.5})], [(1, {"loss": 0.7}), (2, {"loss": 0.4})])
    with watch.Watch(mailbox, Recorder(2, journal), told.release):
        assert told.acquire(timeout=30)
    points = [(entry["step"], entry["values"]) for entry in journal.read(0)[0]]
    assert points == [(1, {"loss": 0.5}), (2, {"loss": 0.4})]


def test_workers_that_speak_are_not_called_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(watch.ray, "get", lambda answer: answer)
    monkeypatch.setattr(watch, "SILENT_S", 1.5)
    told, step = [], iter(range(1, 10**6))
    mailbox = SimpleNamespace(take=SimpleNamespace(remote=lambda: [(next(step), {"loss": 0.5})]))
    journal, is_done = Journal(tmp_path / "journal.jsonl"), threading.Event()
    with watch.Watch(mailbox, Recorder(2, journal), lambda: told.append(1)):
        is_done.wait(4)
    assert not told
