"""Looks at processes and files, any of which may be gone before it has been looked at."""

from contextlib import suppress
from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started, itself the last."""
    return [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def command_lines(processes: list[psutil.Process]) -> list[tuple[psutil.Process, str]]:
    """Of those that live."""
    found: list[tuple[psutil.Process, str]] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.append((process, " ".join(process.cmdline())))
    return found


def listeners(processes: list[psutil.Process]) -> list[tuple[str, int, str]]:
    """Where those listen that live: address, IPv4's as such, port, and name of the program."""
    found: list[tuple[str, int, str]] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            sockets = [one.laddr for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
            found += [(one.ip.removeprefix("::ffff:"), one.port, process.name()) for one in sockets]
    return found


def files_with(folder: Path, text: str) -> list[Path]:
    """The files below a folder in which a text is."""
    found: list[Path] = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found += [path] if path.is_file() and text.encode() in path.read_bytes() else []
    return found
