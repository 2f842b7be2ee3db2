"""How much memory a step needs."""

from types import TracebackType

import psutil

from scorefleet.tasks.fleet.every_second import EverySecond


class PeakMemory(EverySecond):
    """The largest memory of this process and its descendants while the block runs, in bytes; looks once a second.

    A page that could be shared, such as one of a library or of mapped data, does not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0

    def look(self) -> None:
        """Compare what is used now with the most so far."""
        self.peak_bytes = max(self.peak_bytes, used_bytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.look()


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
