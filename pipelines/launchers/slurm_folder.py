"""The folder of a job on Slurm, which all its nodes share: what is to run, and what became of it.

Slurm forgets a job minutes after its end where it keeps no accounts, so all that must outlast it is here. Each run of a
job that is requeued has a folder of its own, since one that was cut off may write on beside the next.

    files/           what was sent, where the command stands
    order.json       the words of the command
    submitted.json   the number of the Slurm job, from who submitted it
    owner.json       the number of the Slurm job that runs it, from that job: a second one ends at once
    stopped.json     somebody asked that it be stopped
    slurm.log        what Slurm says of the job
    run-0/           start.json, end.json, output, ray.log; run-1 is the one after the first requeue
"""

import codecs
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorefleet.tasks.store import objects


@dataclass(frozen=True)
class Run:
    """One run of a job; `exit_code` is None until it has ended, `was_told` whether it ended since Slurm told it to."""

    number: int
    start_s: float
    end_s: float | None = None
    exit_code: int | None = None
    was_told: bool = False


class JobFolder:
    """Reads and writes it; every file is put down whole, once."""

    def __init__(self, path: Path):
        self.path = path
        self.files, self.log = path / "files", path / "slurm.log"

    def order(self) -> dict[str, Any]:
        """`words` to run, and `command` for people."""
        return json.loads((self.path / "order.json").read_bytes())

    def put(self, name: str, **fields: Any) -> bool:
        """Put a file down unless it is there."""
        data = json.dumps(fields).encode()
        return objects.put_if_absent(objects.open_store(str(self.path)), f"{name}.json", data)

    def slurm_job(self) -> str | None:
        """The number of the Slurm job that runs it, or will; None where it was not submitted."""
        found = self._read("owner") or self._read("submitted")
        return found["slurm_job"] if found else None

    def claim(self, slurm_job: str) -> bool:
        """Whether this Slurm job is the one that runs it, as it stays when it is requeued."""
        self.put("owner", slurm_job=slurm_job)
        return self.slurm_job() == slurm_job

    def is_to_stop(self) -> bool:
        return self._read("stopped") is not None

    def folder_of(self, number: int) -> Path:
        """Where a run keeps what it writes."""
        return self.path / f"run-{number}"

    def begin(self, number: int) -> None:
        """A run begins."""
        self.folder_of(number).mkdir(exist_ok=True)
        self.put(f"run-{number}/start", start_s=time.time())

    def end(self, number: int, exit_code: int, was_told: bool) -> None:
        """A run has ended."""
        self.put(f"run-{number}/end", end_s=time.time(), exit_code=exit_code, was_told=was_told)

    def last_run(self) -> Run | None:
        """The one that was begun last."""
        names = [re.fullmatch(r"run-(\d+)", path.name) for path in self.path.iterdir()]
        for number in sorted((int(name[1]) for name in names if name), reverse=True):
            start = self._read(f"run-{number}/start")
            if start:
                return Run(number, **start, **(self._read(f"run-{number}/end") or {}))
        return None

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return json.loads((self.path / f"{name}.json").read_bytes())
        except FileNotFoundError:
            return None


class Output:
    """What a job says, by its last run: what an earlier one says once the next has begun is left out."""

    def __init__(self, folder: JobFolder):
        self._folder, self._run = folder, -1
        self._position, self._decoder = 0, codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> str:
        """What is new."""
        run = self._folder.last_run()
        if run is None:
            return ""
        if run.number != self._run:
            self._run, self._position, self._decoder = run.number, 0, codecs.getincrementaldecoder("utf-8")("replace")
        try:
            with (self._folder.folder_of(run.number) / "output").open("rb") as file:
                file.seek(self._position)
                new = file.read()
        except FileNotFoundError:  # it has only just begun
            return ""
        self._position += len(new)
        return self._decoder.decode(new)

    def has_ended(self) -> bool:
        """Whether the last run has, so that the job is about to."""
        run = self._folder.last_run()
        return run is not None and run.exit_code is not None
