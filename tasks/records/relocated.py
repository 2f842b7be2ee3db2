"""Has the MLflow database of a root that was moved or copied name its files where they are now.

MLflow keeps absolute places of artifacts, and versions carry those of their data and samples. They are rewritten if
such artifacts are under the root of the database, so that a database that several roots share stays as it is.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ARTIFACTS = "mlartifacts"
URIS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
PATHS = (("model_version_tags", "value"), ("tags", "value"))


def follow(database: Path) -> None:
    """Rewrite the places of a root that was elsewhere when they were recorded."""
    root = database.parent
    if not (root / ARTIFACTS).is_dir():
        return
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for before in list(_moved_from(connection, root)):
            for table, column in URIS:
                _rewrite(connection, table, column, before, root.as_uri())
            for table, column in PATHS:
                _rewrite(connection, table, column, unquote(urlsplit(before).path), str(root))


def _moved_from(connection: sqlite3.Connection, root: Path) -> Iterator[str]:
    """Yield the URIs of former roots whose artifacts are under this one."""
    for (place,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall():
        before = str(place).removesuffix(f"/{ARTIFACTS}")
        if before in (place, root.as_uri()) or not before.startswith("file://"):
            continue
        query = "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM logged_models"
        found = [str(uri) for (uri,) in connection.execute(query) if str(uri).startswith(f"{before}/")]
        if any(Path(str(root) + unquote(uri.removeprefix(before))).exists() for uri in found):
            yield before


def _rewrite(connection: sqlite3.Connection, table: str, column: str, before: str, after: str) -> None:
    """Put another beginning in place of a folder and of all below it."""
    inside = f"{before}/"
    connection.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (after, len(before) + 1, before, len(inside), inside),
    )
