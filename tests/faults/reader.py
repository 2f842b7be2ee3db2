"""A reader that looks at a store all the time while it is filled."""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.entry import Entry
from scorefleet.tasks.store.growing import new_entries, read_shard
from scorefleet.tasks.store.verify import verify


@dataclass
class Polling:
    """What a reader met that it should not have."""

    failure: Exception | None = None
    num_seen: int = 0


@contextmanager
def polled(store: str) -> Iterator[Polling]:
    """A reader that looks at the store all the time: it proves each shard that it is shown, none of them twice, and
    from time to time the store, once that is published.
    """
    polling, over = Polling(), threading.Event()
    thread = threading.Thread(target=_poll, args=(store, polling, over))
    thread.start()
    try:
        yield polling
    finally:
        over.set()
        thread.join()


def _poll(store: str, polling: Polling, over: threading.Event) -> None:
    known: list[Entry] = []
    rounds = itertools.count()
    while not over.wait(0.02):
        try:
            new = new_entries(store, known)
            assert len({(entry.block, entry.segment) for entry in known + new}) == len(known + new)
            for entry in new:
                assert hashlib.sha256(read_shard(store, entry)).hexdigest() == entry.sha256, entry.path
            known += new
            polling.num_seen = len(known)
            if next(rounds) % 4 == 0 and Path(store, DATASET).exists():
                wrong = [finding for finding in verify(store).findings if not finding.what.startswith("states/")]
                assert not wrong, wrong  # states may have been altered
        except Exception as error:
            polling.failure = error
            return
