"""Hash what a function reads, by name: `y.csv`, `shards/` (the names in a folder), `$PRIOR`, `module priors`.

Each is a sha256 in hexadecimal digits, or a word for what has none.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeGuard

from scorefleet.tasks.user_code import sources

Reads = dict[str, str]
ABSENT, VALUES = "absent", "its values"
MODULE = "module "
MOST_READS = 100_000
PROCESS_VARIABLES = (
    "CUDA_", "COLUMNS", "GOMP_", "HOME", "HOSTNAME", "KMP_", "LOGNAME", "MKL_", "OLDPWD", "OMP_", "OPENBLAS_", "PATH",
    "PWD", "PYTEST_", "PYTHONHASHSEED", "PYTHONPATH", "PYTHONUNBUFFERED", "RAY_", "SCOREFLEET_", "SHLVL", "SLURM_",
    "TERM", "TMPDIR", "USER", "VIRTUAL_ENV",
)  # fmt: skip
"""Variables that differ between processes of one run; those that end in _ are beginnings."""


def is_valid(reads: Any) -> TypeGuard[Reads]:
    """Whether a file, which anyone may have written, holds reads that can be printed."""
    is_listing = isinstance(reads, dict) and len(reads) <= MOST_READS
    return is_listing and all(isinstance(word, str) and word.isprintable() for item in reads.items() for word in item)


def changes(reads: Reads) -> list[str]:
    """Compare what a function read with what is there now, one phrase for each that differs, without running any."""
    now = {key: _now(key, reads) for key in reads}
    return [difference(key, reads, now) for key in sorted(reads) if now[key] != reads[key]]


def _now(key: str, reads: Reads) -> str:
    if key == VALUES:
        return reads[key]
    if key.startswith(MODULE):
        spec = sources.find(key.removeprefix(MODULE))
        return sha256_of(spec.origin) if spec and spec.origin else ABSENT
    if key.startswith("$"):
        return variables_of([key[1:]]).get(key, reads[key])
    path = os.path.abspath(key)  # noqa: PTH100
    files = {os.path.abspath(name) for name in reads}  # noqa: PTH100
    return listing_of(path, files) if key.endswith("/") else sha256_of(path)


def difference(key: str, then: Reads, now: Reads) -> str:
    """`y.csv is 1f3a and was 77d0`."""
    return f"{key} is {now.get(key, 'not read')[:12]} and was {then.get(key, 'not read')[:12]}"


def named(path: str) -> str:
    """A path from the working folder where it is below that, which is another one where it was sent to."""
    folder = f"{Path.cwd()}/"
    return path.removeprefix(folder) if path.startswith(folder) else path


def sha256_of(path: str) -> str:
    """Hash a file, or the archive that holds it as a module."""
    place = Path(path)
    while not place.exists() and place.suffix != ".zip" and path.endswith(".py") and place.parent != place:
        place = place.parent
    if not place.exists():
        return ABSENT
    if not place.is_file():
        return "no regular file"
    try:
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error.strerror or "unreadable"


def listing_of(folder: str, files: Collection[str]) -> str:
    """The sha256 of a folder's names: of those with the endings of the files that were read of it, where there are."""
    endings = {os.path.splitext(path)[1] for path in files if os.path.dirname(path) == folder}  # noqa: PTH120, PTH122
    try:
        names = sorted(entry.name for entry in Path(folder).iterdir() if entry.is_file())
    except OSError:
        return ABSENT
    names = [name for name in names if not endings or os.path.splitext(name)[1] in endings]  # noqa: PTH122
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _is_of_process(name: str) -> bool:
    return any(name.startswith(word) if word.endswith("_") else name == word for word in PROCESS_VARIABLES)


def variables_of(names: Iterable[str]) -> Reads:
    """The sha256 of environment variables, as they may be secrets."""
    values = {name: os.environ.get(name) for name in names if not _is_of_process(name)}
    return {
        f"${name}": ABSENT if value is None else hashlib.sha256(value.encode()).hexdigest()
        for name, value in values.items()
    }
