"""What became of ticks: RayJobs, which outlive their schedule, and Jobs that never came to one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from scorefleet.pipelines.due import STAMP
from scorefleet.pipelines.launchers.kubernetes import TICK, job_of, seconds
from scorefleet.pipelines.launchers.kubernetes_objects import Object
from scorefleet.pipelines.launchers.launcher import Job
from scorefleet.pipelines.submit import how_to
from scorefleet.pipelines.timers.timer import Past, local
from scorefleet.tasks.records.redaction import redact

EXIT_CODE = re.compile(r"failed with exit code (\d+) matching")
"""In why a Job has failed: its pod's, by the rules of its CronJob."""


def pasts(
    name: str, to: str, rayjobs: Sequence[Object], jobs: Sequence[Object], warnings: Mapping[str, str]
) -> Iterator[Past]:
    """The ticks of the CronJob of a name, the oldest first; `warnings` say of a Job what went wrong with it."""
    runs = {one["metadata"].get("annotations", {}).get(TICK): one for one in sorted(rayjobs, key=_age)}
    begun = {one["metadata"]["name"]: one for one in jobs}
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)", str(tick)) for tick in {*runs, *begun})
    for minutes, tick in sorted((int(match[1]), match[0]) for match in found if match):
        stamp = datetime.fromtimestamp(minutes * 60, UTC).strftime(f"{STAMP}Z")
        if tick in runs:
            run = job_of(runs[tick])
            log = how_to("follow", run.identity, to)
            yield Past(stamp, local(run.start_s), local(run.end_s), _outcome(run), log)
        else:
            yield _of_job(stamp, begun[tick], warnings.get(tick, ""))


def has_ended(job: Object) -> bool:
    """Whether Kubernetes has done all that it will for a Job."""
    return _end(job) is not None


def _of_job(stamp: str, job: Object, warning: str) -> Past:
    status, end = job.get("status", {}), _end(job)
    if end is None:
        why = f": {' '.join(redact(warning).split())[:160]}" if warning else ""
        outcome = "running" if status.get("ready") else f"waiting{why}"
    elif end["type"] == "Complete":
        outcome = "exit code 0"
    else:
        code = EXIT_CODE.search(end.get("message", ""))
        outcome = f"exit code {code[1]}" if code else f"lost: {redact(end.get('message', ''))[:160]}"
    ended = seconds(end.get("lastTransitionTime")) if end else None
    metadata = job["metadata"]
    log = f"kubectl logs job/{metadata['name']} --namespace {metadata['namespace']}"
    return Past(stamp, local(seconds(status.get("startTime"))), local(ended), outcome, log)


def _end(job: Object) -> dict[str, str] | None:
    conditions = job.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), None)


def _outcome(run: Job) -> str:
    if run.exit_code is not None:
        return f"exit code {run.exit_code if run.exit_code >= 0 else 128 - run.exit_code}"
    return f"lost: {redact(run.message)[:160]}" if run.state == "failed" else run.state


def _age(rayjob: Object) -> str:
    return rayjob["metadata"]["creationTimestamp"]
