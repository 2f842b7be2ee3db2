"""Ray Jobs: a head's dashboard, with a token, takes the folder and runs the command beside itself."""

import logging
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import requests
from ray.dashboard.modules.dashboard_sdk import SubmissionClient
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from scorefleet.pipelines.launchers.launcher import Job, State, patiently
from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.fleet.secure import cluster_token
from scorefleet.tasks.records.redaction import redact

OURS = "scorefleet-"
ANSWER_TIMEOUT_S = 60.0
LOST_TIMEOUT_S = 60.0
"""How long a head that was there may be silent, such as while its tunnel is made anew, before it counts as lost."""

POLL_S, POLLED_PER_S = 0.5, 100_000
"""What a job has said is read whole, half a second after the last time, and later where it is long."""

STATES: Mapping[JobStatus, State] = {
    JobStatus.PENDING: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCEEDED: "done",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "stopped",
}


class Client(JobSubmissionClient):
    """Ray's own waits for ever for an answer."""

    def _do_request(self, *words: Any, **options: Any) -> requests.Response:
        return super()._do_request(*words, timeout=ANSWER_TIMEOUT_S, **options)


class RayJobs:
    """A launcher; see `launcher.Launcher`."""

    def __init__(self, address: str):
        self.address = address.rstrip("/")
        self._token = cluster_token()

    @cached_property
    def _client(self) -> Client:
        """Connects, for which only `secret` need not."""
        return Client(self.address, headers={"Authorization": f"Bearer {self._token}"})

    def secret(self) -> str:
        return self._token

    def jobs(self) -> list[Job]:
        with self._one_line():
            found = [job for job in self._client.list_jobs() if (job.submission_id or "").startswith(OURS)]
        return sorted(map(_job_of, found), key=lambda job: job.start_s or time.time())

    def begin(self, identity: str, words: Sequence[str], labels: Mapping[str, str], archive: bytes) -> bool:
        with tempfile.TemporaryDirectory() as folder, self._one_line():
            package = Path(folder) / "folder.zip"
            package.write_bytes(archive)
            try:
                self._client.submit_job(
                    submission_id=identity,
                    entrypoint=f"exec {shlex.join(('python', *words))}",  # so that a stop reaches it, and not a shell
                    runtime_env={"working_dir": str(package)},
                    metadata=dict(labels),
                )
            except RuntimeError:
                if self._find(identity) is None:
                    raise
                return False  # another was first, which Ray calls an internal error
        return True

    def output(self, identity: str) -> Iterator[str]:
        num_said = 0
        while True:
            try:
                has_ended, text = patiently(partial(self._look, identity), LOST_TIMEOUT_S)
            except UsageError as error:
                raise ServiceError(
                    f"{identity} was lost: {self.address} was begun anew; submit the same again, and it goes on"
                ) from error
            yield text[num_said:]
            num_said = max(num_said, len(text))
            if has_ended:
                return
            time.sleep(POLL_S + num_said / POLLED_PER_S)

    def _look(self, identity: str) -> tuple[bool, str]:
        """Whether a job has ended, asked first, so that what it has said by then is whole."""
        has_ended = self.job(identity).has_ended
        with self._one_line():
            return has_ended, self._client.get_job_logs(identity)

    def stop(self, identity: str) -> bool:
        self.job(identity)
        with self._one_line():
            return self._client.stop_job(identity)

    def job(self, identity: str) -> Job:
        with self._one_line():
            found = self._find(identity)
        if found is None:
            raise UsageError(f"{self.address} knows no job {identity!r}: `scorefleet jobs` lists those that it knows")
        return _job_of(found)

    def _find(self, identity: str) -> JobDetails | None:
        return next((job for job in self._client.list_jobs() if job.submission_id == identity), None)

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        """What went wrong, and what to do, without what the server said where it could quote a secret."""
        try:
            yield
        except AuthenticationError as error:
            message = f"{self.address} refuses the token: give its own as RAY_AUTH_TOKEN or in ~/.ray/auth_token"
            raise ServiceError(message) from error
        except (ConnectionError, requests.ConnectionError, requests.Timeout) as error:
            message = f"no Ray cluster answers at {self.address}: start its head, or open an ssh tunnel to it"
            raise ServiceError(message) from error
        except (RuntimeError, requests.RequestException, KeyError) as error:
            line = redact(str(error).strip().rpartition("\n")[2])[:200]
            raise ServiceError(f"{self.address} does not do what a Ray cluster does: {line}") from error


def launcher(to: str) -> RayJobs:
    """The head whose dashboard is at `to`."""
    logging.getLogger(SubmissionClient.__module__).setLevel(logging.ERROR)  # which says what we say
    return RayJobs(to)


def _job_of(job: JobDetails) -> Job:
    return Job(
        identity=job.submission_id or "",
        state=STATES[job.status],
        command=(job.metadata or {}).get("command", job.entrypoint),
        start_s=job.start_time / 1000 if job.start_time else None,
        end_s=job.end_time / 1000 if job.end_time else None,
        exit_code=0 if job.status == JobStatus.SUCCEEDED else job.driver_exit_code,
        message=job.message or "",
    )
