"""How much memory a step needs."""

import threading
from types import TracebackType

import psutil


class PeakMemory:
    """The largest memory of this process and its descendants while the block runs, in bytes; looks once a second.

    A page that could be shared, such as one of a library or of mapped data, does not count.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self.peak_bytes = max(self.peak_bytes, used_bytes())

    def _watch(self) -> None:
        while not self._is_over.wait(1.0):
            self.peak_bytes = max(self.peak_bytes, used_bytes())


def used_bytes() -> int:
    """Memory of this process and its descendants now."""
    this = psutil.Process()
    return sum(_used_by(process) for process in [this, *this.children(recursive=True)])


def _used_by(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended between the listing and the look
        return 0
    return memory.rss - getattr(memory, "shared", 0)
