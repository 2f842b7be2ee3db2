"""Sees what the processes of a command show to others while they run: their words, and where they listen."""

import ipaddress
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

MARK = "WATCHED_BY_A_TEST"
INTERVAL_S = 0.3


@dataclass
class Watch:
    """What was seen of what was started with `environment`: the command lines that each process has had, how many
    sockets listened, and the processes of which one listened for others than this machine; and the command lines of all
    `others`.
    """

    environment: dict[str, str]
    commands: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    others: set[str] = field(default_factory=set)
    open_to_others: set[int] = field(default_factory=set)
    num_listening: int = 0

    def look(self) -> None:
        """At all processes; those with the mark of this watch are its own, whoever is their parent by now."""
        for process in psutil.process_iter():
            try:
                command = " ".join(process.cmdline()).strip()
                if process.environ().get(MARK) != self.environment[MARK]:
                    self.others.add(command)
                    continue
                listening = [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
            except psutil.Error:
                continue  # it has ended
            self.commands[process.pid].add(command)
            self.num_listening += len(listening)
            if any(not _is_loopback(one.laddr.ip) for one in listening):
                self.open_to_others.add(process.pid)


def _is_loopback(text: str) -> bool:
    """Of version 4, 6, or 4 within 6."""
    address = ipaddress.ip_address(text)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@contextmanager
def watching() -> Iterator[Watch]:
    """Looks again and again while the block runs; what it starts with the watch's environment is seen."""
    watch, is_over = Watch({MARK: secrets.token_hex(8)}), threading.Event()

    def look() -> None:
        while not is_over.wait(INTERVAL_S):
            watch.look()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()
