"""Recognises the folders of table formats that are more than the Parquet files in them: which rows are theirs stands in
the format's own log, and their files may hold rows that were removed.
"""

from pathlib import Path

from scorefleet.tasks.errors import DataError

REMEDY = "write its current rows to Parquet files in a folder of their own"


def is_delta(folder: Path) -> bool:
    """Return whether a folder is a Delta table."""
    return _is_there(folder / "_delta_log")


def refuse(source: Path) -> None:
    """Raise `DataError` for a folder of another such format, for one in partitions, and for what lies in a table."""
    kind = _kind_of(source)
    if kind is not None:
        raise DataError(f"{source} is {kind}, which is not read: {REMEDY}")
    if source.is_dir() and any("=" in path.name and path.is_dir() for path in source.iterdir()):
        raise DataError(f"{source} is in partitions (folders such as year=2024), which are not read: {REMEDY}")
    for folder in source.resolve().parents:
        kind = "a Delta table" if is_delta(folder) else _kind_of(folder)
        if kind is not None:
            remedy = f"give {folder}" if is_delta(folder) else REMEDY
            raise DataError(f"{source} lies in {folder}, which is {kind} with a log of its own rows: {remedy}")


def _kind_of(folder: Path) -> str | None:
    """Return the format of a folder that is a table and no Delta table."""
    if _is_there(folder / "metadata") and any((folder / "metadata").glob("*.metadata.json")):
        return "an Iceberg table"
    if _is_there(folder / ".hoodie"):
        return "a Hudi table"
    if _is_there(folder / "_versions") or (folder.suffix == ".lance" and folder.is_dir()):
        return "a Lance table"
    return None


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except PermissionError:
        return False
