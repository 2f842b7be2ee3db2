"""Looks once a second, in a thread, while something else goes on."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class EverySecond(ABC):
    """Calls its `look` once a second while the block runs."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @abstractmethod
    def look(self) -> None:
        """What is done each second."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(1.0):
            self.look()
