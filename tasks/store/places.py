"""What a path or URI of a user names: a local folder or a place in a bucket; all else is refused in one line."""

import re
from pathlib import Path
from urllib.parse import unquote

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store import bucket

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/.*)", re.DOTALL)
_WINDOWS = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\")


def place_of(uri: str) -> str:
    """Return one name for one place: the absolute path of a folder, or `s3://bucket/path`."""
    return bucket.canonical(uri) if uri.startswith(bucket.SCHEME) else str(folder_of(uri))


def folder_of(uri: str) -> Path:
    """Return the local folder that a path or `file:///` URI names; `UsageError` for whatever names no such folder."""
    if "\0" in uri or not uri.strip():
        raise UsageError(f"{uri!r} names no folder: give its path")
    if _WINDOWS.match(uri):
        raise UsageError(f"{uri} is a path of Windows: give that of a folder here, such as /mnt/c/data")
    if uri.startswith("~"):  # a shell expands it where a word begins with it, and nowhere else
        raise UsageError(f"{uri} begins with ~, which the shell did not expand: write $HOME{uri[1:]} or the whole path")
    found = _URI.fullmatch(uri)
    path = _path_of(uri, found[1].lower(), found[2]) if found else uri
    try:
        return Path(path).resolve()
    except (RuntimeError, OSError) as error:  # RuntimeError: Python 3.11 of links in a circle
        raise UsageError(f"{uri} leads nowhere, such as a link to itself ({error}): remove it") from error


def _path_of(uri: str, scheme: str, rest: str) -> str:
    """The path of a `file:` URI (RFC 8089); `UsageError` for one of another machine, and for other schemes."""
    if scheme == "file":
        host, _, path = rest.removeprefix("//").partition("/") if rest.startswith("//") else ("", "", rest[1:])
        if host not in ("", "localhost"):
            raise UsageError(f"{uri} names a folder of the machine {host!r}: write file:///{host}/{path} for one here")
        return unquote(f"/{path}")
    if scheme == "s3":
        right = f"s3://{rest.lstrip('/')}"
        remedy = f"write {right} for a bucket" if uri != right else "only a folder can be here, copy it to this machine"
        raise UsageError(f"{uri} cannot be opened: {remedy}")
    if rest.startswith("//"):
        raise UsageError(f"{scheme}:// cannot be opened: copy it here first; a folder, file:/// and s3:// can be")
    raise UsageError(f"{uri} looks like a URI with one slash: write ./{uri} if it is a folder")
