"""Slurm: `sbatch` takes the command, whose folder below the home directory is shared by the nodes of the cluster."""

import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from scorefleet.pipelines.launchers.launcher import Job, patiently
from scorefleet.pipelines.launchers.slurm_folder import JobFolder, Output
from scorefleet.pipelines.launchers.slurm_programs import Known, accounted, call, known
from scorefleet.tasks.console import notify
from scorefleet.tasks.errors import ServiceError, StorageError, UsageError
from scorefleet.tasks.home import home_folder
from scorefleet.tasks.remedies import remedy_of
from scorefleet.tasks.store.locks import locked

OURS = "scorefleet-"
OPTIONS = ("account", "constraint", "cpus-per-task", "gpus-per-node", "mem", "nodes", "partition", "qos",
           "reservation", "time")  # fmt: skip
"""Those of sbatch that say where a job runs and with how much; its SBATCH_* variables hold as always."""

ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
         "REVOKED", "TIMEOUT"}  # fmt: skip
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}

LOOK_S, ASK_S = 1.0, 5.0
"""Between two looks at a file, and two questions to Slurm, which answers all users of the cluster."""

LOST_TIMEOUT_S = 120.0
"""How long Slurm may give no answer to who follows a job, such as while its controller is started again."""


class Slurm:
    """A launcher; see `launcher.Launcher`."""

    def __init__(self, options: Sequence[str]):
        self._options, self._home = options, home()

    def secret(self) -> str:
        return ""

    def jobs(self) -> list[Job]:
        there = known()
        folders = [JobFolder(path) for path in self._home.glob(f"{OURS}*")]
        submitted = [folder for folder in folders if folder.slurm_job()]
        return sorted((job_of(folder, there) for folder in submitted), key=lambda job: job.start_s or time.time())

    def begin(self, identity: str, words: Sequence[str], labels: Mapping[str, str], archive: bytes) -> bool:
        """A folder that nobody submitted is left by who was killed before, or whom sbatch refused. Where the lock does
        not hold, such as between two machines, the first job to begin keeps the others from it.
        """
        folder = folder_of(identity)
        with self._taken(folder, {"words": [*words], **labels}, archive):
            if folder.slurm_job():
                return False
            folder.put("submitted", slurm_job=alive_of(identity) or self._submit(folder))
        return True

    def adopt(
        self, identity: str, words: Sequence[str], labels: Mapping[str, str], archive: bytes, number: str, log: Path
    ) -> None:
        """As `begin`, for the Slurm job of that number and log, which waited for its hour and is to run it now."""
        folder = folder_of(identity)
        with self._taken(folder, {"words": [*words], **labels}, archive):
            folder.put("submitted", slurm_job=number)
            folder.log.symlink_to(log)

    @contextmanager
    def _taken(self, folder: JobFolder, order: Mapping[str, object], archive: bytes) -> Iterator[None]:
        """With its files, while nobody else on this machine begins anything."""
        self._home.mkdir(parents=True, mode=0o700, exist_ok=True)
        with locked(self._home / "lock"):
            if not folder.path.exists():
                self._unpack(folder.path, order, archive)
            yield

    def _unpack(self, path: Path, order: Mapping[str, object], archive: bytes) -> None:
        made = Path(tempfile.mkdtemp(prefix="new-", dir=self._home))  # mode 700
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                packed.extractall(made / "files")
            (made / "order.json").write_text(json.dumps(order), encoding="utf-8")
            made.rename(path)
        except OSError as error:
            raise StorageError(f"folder {self._home} cannot be used: {error.strerror}; {remedy_of(error)}") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)  # it is gone where all went well

    def _submit(self, folder: JobFolder) -> str:
        script = ["exec", sys.executable, "-m", "scorefleet.pipelines.launchers.slurm_job", str(folder.path)]
        return self.queue(folder.path.name, folder.files, folder.log, script)

    def queue(self, name: str, folder: Path, log: Path, script: Sequence[str], *more: str) -> str:
        """Have a script run in a folder; the number of its job."""
        output = str(log).replace("%", "%%")  # which begins a pattern there
        words = ["--parsable", f"--job-name={name}", f"--chdir={folder}", f"--output={output}", "--open-mode=append"]
        words += ["--requeue", "--ntasks-per-node=1", "--signal=B:TERM@60", *more, *self._options]
        return call("sbatch", *words, f"--wrap={shlex.join(script)}").strip().partition(";")[0]

    def output(self, identity: str) -> Iterator[str]:
        folder = self._folder(identity)
        output, said = Output(folder), ""
        while True:
            # Asked first, so that what is read after it is whole.
            job = patiently(partial(self.job, identity), LOST_TIMEOUT_S)
            if job.exit_code is not None or job.state == "waiting":
                if job.message not in ("", said):
                    notify(f"{identity} {job.state}: {job.message}")
                said = job.message
            yield output.read()
            if job.has_ended:
                return
            asked = time.monotonic()
            while time.monotonic() - asked < (LOOK_S if output.has_ended() else ASK_S):
                time.sleep(LOOK_S)
                yield output.read()

    def stop(self, identity: str) -> bool:
        folder = self._folder(identity)
        if self.job(identity).has_ended:
            return False
        folder.put("stopped", at_s=time.time())
        number = str(folder.slurm_job())
        call("scancel", "--state=PENDING", number)
        try:
            if not self.job(identity).has_ended:
                call("scancel", "--batch", "--signal=TERM", number)  # the command stops first, and then Ray
        except ServiceError:  # it may have ended just now, which scancel calls an error
            if not self.job(identity).has_ended:
                raise
        return True

    def job(self, identity: str) -> Job:
        return job_of(self._folder(identity), known())

    def _folder(self, identity: str) -> JobFolder:
        folder = folder_of(identity)
        if not identity.startswith(OURS) or "/" in identity or not folder.path.is_dir() or not folder.slurm_job():
            raise UsageError(f"Slurm was given no job {identity!r} from {self._home}: `scorefleet jobs` lists those")
        return folder


def home() -> Path:
    """Where jobs are kept."""
    return Path(os.environ.get("XDG_DATA_HOME") or home_folder() / ".local" / "share") / "scorefleet" / "slurm"


def folder_of(identity: str) -> JobFolder:
    """Where a job is kept, or would be."""
    return JobFolder(home() / identity)


def launcher(to: str) -> Slurm:
    """The cluster whose programs are on the PATH, with what stands after `slurm:`."""
    beginning, colon, listed = to.partition(":")
    options = listed.split(",") if colon else []
    for option in options:
        if not re.fullmatch(rf"({'|'.join(OPTIONS)})=[^\s=]+", option):
            raise UsageError(f"--to slurm:KEY=VALUE,... takes {', '.join(OPTIONS)}, but got {option!r}")
    if beginning != "slurm":
        raise UsageError(f"--to must be slurm or slurm:KEY=VALUE,..., but got {to!r}")
    return Slurm([f"--{option}" for option in options])


def alive_of(name: str) -> str | None:
    """The number of a job of that name that Slurm has in hand."""
    return next((number for (number, of), is_now in known().items() if of == name and is_now.state not in ENDED), None)


def job_of(folder: JobFolder, there: Mapping[tuple[str, str], Known]) -> Job:
    """Slurm's word counts while it has the job in hand, and then what the last run left."""
    identity, number, run = folder.path.name, folder.slurm_job() or "", folder.last_run()
    slurm = there.get((number, identity), Known("", ""))
    job = Job(identity, "waiting", folder.order()["command"], run and run.start_s)
    if slurm.state and slurm.state not in ENDED:
        if slurm.state in WAITING:
            return replace(job, message=f"Slurm job {number} is {slurm.state}, reason: {slurm.reason}")
        return replace(job, state="running")
    if run and run.exit_code is not None and not run.was_told:
        return replace(job, state="failed" if run.exit_code else "done", end_s=run.end_s, exit_code=run.exit_code)
    if folder.is_to_stop() or slurm.state == "CANCELLED":
        return replace(job, state="stopped", end_s=run and run.end_s)
    if run and run.exit_code is not None:
        message = "Slurm told it to end, as it does before the time limit: submit the same again, and it goes on"
        return replace(job, state="failed", end_s=run.end_s, exit_code=run.exit_code, message=message)
    became = slurm.state or accounted(number) or "Slurm has forgotten it"
    return replace(job, state="failed", message=f"{became}, {folder.log} may say more")
