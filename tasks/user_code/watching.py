"""Follow what code reads while it runs: files, listed folders and environment variables.

CPython raises audit events before it opens a file, so also for numpy, pandas and torch, which open files through it.
Libraries that open files in C++ or Rust raise none (`NATIVE_READERS`); what comes over the network or from another
program is seen only to come.
"""

import os
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import scorefleet
from scorefleet.tasks.user_code.installed import installed_folders

NATIVE_READERS = {
    "cv2", "datasets", "duckdb", "fastparquet", "h5py", "lmdb", "netCDF4", "polars", "pyarrow", "pyreadr", "pyreadstat",
    "rasterio", "safetensors", "tables", "tensorstore", "xarray", "zarr",
}  # fmt: skip
"""Packages that open files without an audit event."""

NATIVE_CALLS = {b"jit.load": "torch.jit"}
"""Functions that do so, of packages whose others raise one."""

FOLDERS = {"os.listdir", "os.scandir"}
PROGRAMS = {"subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty", "os.exec"}
EVENTS = {"open", *FOLDERS, *PROGRAMS, "sqlite3.connect", "ctypes.dlopen", "socket.connect"}
CODE = (".py", ".pyc", ".so")
NEVER_DATA = ("/proc/", "/sys/", "/dev/", "/run/", "/etc/", "/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/")
USERS_OWN = ("/dev/shm/", "/run/media/", "/run/user/")
"""Folders among them that hold what users put there."""
WRITES = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """What the code of one thread, and of threads that it starts, has read so far, by absolute path."""

    def __init__(self) -> None:
        self.is_read: dict[str, bool] = {}
        """Path -> whether it was last opened to read; one that was last opened to write is the code's own."""
        self.stamps: dict[str, tuple[int, ...] | None] = {}
        """Path -> size, time and place of the file when it was first opened to read; None if there was none."""
        self.made: set[str] = set()
        """What it wrote before it read it, such as a cache."""
        self.kept: set[str] = set()
        """What it wrote after it had read it, such as a counter: its own, and no data."""
        self.folders: set[str] = set()
        self.variables: set[str] = set()
        self.unseen: set[str] = set()
        """What was read that cannot be followed, in words."""
        self._process = os.getpid()
        self._others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def note(self, event: str, arguments: tuple[Any, ...], asker: FrameType) -> None:
        """Take in an audit event of code that this watches."""
        if os.getpid() != self._process or threading.get_ident() in self._others:
            return
        if event == "open":
            self._opened(arguments[0], arguments[2], asker)
        elif event in FOLDERS:
            self._listed(arguments[0], asker)
        elif event == "sqlite3.connect":
            self._opened(_database(arguments[0]), os.O_RDONLY, asker)
        elif event == "ctypes.dlopen" and arguments[0] and os.sep in os.fspath(arguments[0]):
            self._opened(arguments[0], os.O_RDONLY, asker)
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            self.unseen.add("the network")
        elif event in PROGRAMS:
            self.unseen.add("another program")

    def _opened(self, name: Any, flags: int, asker: FrameType) -> None:
        path = _absolute(name)
        if path is None or not is_data(path) or (_is_importing(asker) and path.endswith(CODE)):
            return
        is_read = not flags & WRITES
        if is_read:
            self.stamps.setdefault(path, stamp_of(path))
        else:
            (self.kept if path in self.stamps else self.made).add(path)
        self.is_read[path] = is_read

    def _listed(self, name: Any, asker: FrameType) -> None:
        path = _absolute("." if name is None else name)
        if path is not None and is_data(path) and not _is_importing(asker):
            self.folders.add(path)

    def files(self) -> list[str]:
        """The files that were read and not written after; those that it made for a while are left out."""
        return sorted(
            path
            for path, is_read in self.is_read.items()
            if is_read and path not in self.kept and not (path in self.made and self._is_scratch(path))
        )

    def _is_scratch(self, path: str) -> bool:
        scratch = tempfile.gettempdir()
        is_users = _is_below(path, str(Path.cwd()))
        return not Path(path).exists() or (not is_users and _is_below(path, scratch))


@contextmanager
def watching() -> Iterator[Watch]:
    """Follow what this thread reads, through Python and in the process's environment, until the block ends."""
    global _current
    _install()
    before, environment = _current, type(os.environ)
    _current = Watch()
    os.environ.__class__ = os.environb.__class__ = _Environment
    try:
        yield _current
    finally:
        _current = before
        os.environ.__class__ = os.environb.__class__ = environment


def is_data(path: str) -> bool:
    """Whether a path is neither of what is installed, of the system, nor of a program's own caches."""
    is_systems = path.startswith(NEVER_DATA) and not path.startswith(USERS_OWN)
    if is_systems or path.endswith(".pyc") or "/__pycache__" in path or is_installed(path):
        return False
    home = str(Path.home())
    is_hidden = home != "/" and path.startswith(f"{home}/.")
    return not is_hidden or _is_below(path, str(Path.cwd()))


def is_installed(path: str) -> bool:
    """Whether a file came with Python or by an installer, or is of this program, and so changes only with a version."""
    return any(_is_below(path, folder) for folder in (*installed_folders(), *_own_folders()))


def stamp_of(path: str) -> tuple[int, ...] | None:
    """What changes when a file does, without reading it; None when there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


_current: Watch | None = None


@cache
def _install() -> None:
    """Audit hooks cannot be removed: one stays, and does nothing while nothing is watched."""
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    watch = _current
    if watch is not None and event in EVENTS:
        watch.note(event, arguments, sys._getframe(1))


class _Environment(type(os.environ)):
    """The environment, of text or of bytes, which tells the current watch what the user's own code looks up."""

    def __getitem__(self, key: Any) -> Any:
        name: Any = key
        if _current is not None and isinstance(name, str | bytes) and _is_users(sys._getframe(1)):
            _current.variables.add(os.fsdecode(name))
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        if _current is not None and _is_users(sys._getframe(1)):
            _current.unseen.add("the whole environment")
        return super().__iter__()


def _is_users(frame: FrameType | None) -> bool:
    """Whether what asks through the standard library is neither installed nor of this program."""
    standard = sysconfig.get_path("stdlib")
    while frame is not None:
        path = frame.f_code.co_filename
        is_standard = path.startswith("<") or (_is_below(path, standard) and "-packages" not in path)
        if not is_standard:
            return not is_installed(path)
        frame = frame.f_back
    return False


def _is_importing(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith("<frozen importlib")


@cache
def _own_folders() -> tuple[str, ...]:
    here = Path(scorefleet.__file__).parent
    return str(here), *(str((here / name).resolve()) for name in ("tasks", "pipelines"))


def _absolute(name: Any) -> str | None:
    """Where a name leads from the working folder; None for what has none, such as an open file's number."""
    if not isinstance(name, str | bytes | os.PathLike):
        return None
    return os.path.abspath(os.fsdecode(name))  # noqa: PTH100  links stay as they are named


def _database(name: Any) -> Any:
    text = os.fsdecode(name)
    if text.startswith("file:"):
        text = text.removeprefix("file:").partition("?")[0]
    return None if text in ("", ":memory:") else text


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
