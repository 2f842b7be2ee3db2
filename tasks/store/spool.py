"""Entries on the way to a manifest, in the order of block and segment, in a file and not in memory.

A fleet commits segments in any order, and a large run has more of them than a driver should hold. The file has no name:
the store holds all that is in it, so it is gone with the process.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from scorefleet.tasks.store.entry import Entry, entry_of, parse, to_record

COLUMNS = "block INTEGER, segment INTEGER, record BLOB, PRIMARY KEY (block, segment)"


def _open() -> sqlite3.Connection:
    database = sqlite3.connect("")  # what does not fit its cache of 2 MB is in a file that has no name
    database.execute(f"CREATE TABLE entries ({COLUMNS}) WITHOUT ROWID")
    return database


@dataclass(frozen=True)
class Spool:
    """Entries by block and segment; iterated as often as is wanted, in that order."""

    _database: sqlite3.Connection = field(default_factory=_open)

    def add(self, entry: Entry) -> None:
        """Keep an entry; the last of a segment counts."""
        row = entry.block, entry.segment, to_record(entry)
        self._database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", row)

    def __len__(self) -> int:
        return self._database.execute("SELECT count(*) FROM entries").fetchone()[0]

    def __iter__(self) -> Iterator[Entry]:
        for block, segment, record in self._database.execute("SELECT * FROM entries ORDER BY block, segment"):
            yield entry_of(f"block {block} segment {segment}", parse("record", record))
