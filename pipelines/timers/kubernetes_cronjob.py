"""The CronJob of a schedule, whose pod submits the RayJob of a tick and follows it to its end."""

import base64
import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from scorefleet.pipelines.cron import Cron
from scorefleet.pipelines.due import Schedule
from scorefleet.pipelines.launchers import in_cluster
from scorefleet.pipelines.launchers.kubernetes import ARCHIVE, FOLDER, MANAGED, OURS, PARCEL
from scorefleet.tasks.errors import UsageError

ACCOUNT = "scorefleet-schedule"
"""The service account of deploy/kubernetes/schedule.yaml."""

SCHEDULE = f"{OURS}schedule"
RAYJOB = "rayjob.yaml"
WORKING, KEY = "submitted", "scorefleet-account"
MOST_LETTERS = 52
"""Of a CronJob's name, to which Kubernetes adds the time of a tick."""

LATE_S = 60
"""A tick that could not begin within so long was missed; Kubernetes says that less than 10 may begin none."""

NUM_KEPT = 30
"""Jobs that ended well, and as many that did not."""

RETRIED = [5, 137, 143]
"""No answer, killed, told to end: the next pod follows the same RayJob. What else a pod ends with, its command said."""

NUM_RETRIES = 3
UNPACK_AND_RUN = """\
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        os.chmod(archive.extract(entry), entry.external_attr >> 16)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def name_of(schedule: str) -> str:
    """The CronJob's name: that of the schedule in letters that Kubernetes takes."""
    name = f"scorefleet-{schedule.lower().replace('_', '-')}"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) or len(name) > MOST_LETTERS:
        most = MOST_LETTERS - len("scorefleet-")
        allowed = f"at most {most} of a-z, A-Z, 0-9, - and _, and end with a letter or digit"
        raise UsageError(f"on Kubernetes NAME must be {allowed}, but got {schedule!r}")
    return name


def cron_of(expression: str) -> Cron:
    """When the CronJob is due; days that Kubernetes reads otherwise than cron are refused."""
    _, _, day, _, weekday = expression.split()
    if "*" not in (day, weekday) and "*" in day + weekday:
        raise UsageError(
            f"--cron {expression!r} has cron run where day of month and day of week are both met, and Kubernetes where "
            "one is: give one of them, and * for the other"
        )
    return Cron.of(expression)


def secret(name: str, owner: Mapping[str, str], archive: bytes, rayjob: bytes) -> dict[str, Any]:
    """What the pod finds in its folder, which goes with its CronJob."""
    files = {ARCHIVE: archive, RAYJOB: rayjob}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": MANAGED, "ownerReferences": [owner]},
        "data": {file: base64.b64encode(content).decode() for file, content in files.items()},
    }


def cronjob(
    schedule: str, made: Schedule, template: Mapping[str, Any], parcel: str, words: Sequence[str]
) -> dict[str, Any]:
    """What has `submit WORDS` run at each tick, with what the Secret `parcel` holds; suspended, so that none begins
    before that is there.
    """
    name = name_of(schedule)
    labels = MANAGED | {SCHEDULE: name}
    spec = {
        "schedule": made.cron,
        "timeZone": "Etc/UTC",
        "suspend": True,
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": NUM_KEPT,
        "failedJobsHistoryLimit": NUM_KEPT,
        "jobTemplate": {"metadata": {"labels": labels}, "spec": _job(template, parcel, words)},
    }
    if made.missed == "skip":
        spec["startingDeadlineSeconds"] = LATE_S
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "labels": labels, "annotations": {SCHEDULE: schedule}},
        "spec": spec,
    }


def _job(template: Mapping[str, Any], parcel: str, words: Sequence[str]) -> dict[str, Any]:
    """A pod that was lost is replaced, one whose command ended is not."""
    pod = _pod(template["spec"]["submitterPodTemplate"], parcel, words)
    lost = {"type": "DisruptionTarget", "status": "True"}
    ended = {"containerName": pod["spec"]["containers"][0]["name"], "operator": "NotIn", "values": RETRIED}
    rules = [
        {"action": "Ignore", "onPodConditions": [lost]},
        {"action": "FailJob", "onExitCodes": ended, "onPodConditions": []},  # which the published schema requires
    ]
    return {"backoffLimit": NUM_RETRIES, "podFailurePolicy": {"rules": rules}, "template": pod}


def _pod(template: Mapping[str, Any], parcel: str, words: Sequence[str]) -> dict[str, Any]:
    """The submitter's pod of the user's RayJob: as safe as that, but for a key to Kubernetes in its first container."""
    pod = copy.deepcopy(dict(template))
    spec = pod["spec"]
    spec |= {"restartPolicy": "Never", "serviceAccountName": ACCOUNT, "automountServiceAccountToken": False}
    spec["volumes"] = [
        *spec.get("volumes", []),
        {"name": PARCEL, "secret": {"secretName": parcel}},
        {"name": WORKING, "emptyDir": {}},
        {"name": KEY, "projected": {"sources": _key()}},
    ]
    container = spec["containers"][0]
    container["command"] = ["python", "-c", UNPACK_AND_RUN, f"{FOLDER}/{ARCHIVE}"]
    container["args"] = _args(words)
    container["workingDir"] = f"/{WORKING}"
    tick = {"name": "TICK", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job-name']"}}}
    container["env"] = [*container.get("env", []), tick]
    container["volumeMounts"] = [
        *container.get("volumeMounts", []),
        {"name": PARCEL, "mountPath": FOLDER, "readOnly": True},
        {"name": WORKING, "mountPath": f"/{WORKING}"},
        {"name": KEY, "mountPath": str(in_cluster.ACCOUNT), "readOnly": True},
    ]
    return pod


def _args(words: Sequence[str]) -> list[str]:
    """No shell reads them, but Kubernetes puts a variable's value for $(NAME), and $ for $$."""
    kept = [word.replace("$", "$$") for word in words]
    return ["-m", "scorefleet", "submit", *kept, "--to", f"kubernetes:{FOLDER}/{RAYJOB}", "--tick", "$(TICK)"]


def _key() -> list[dict[str, Any]]:
    authority = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    return [{"serviceAccountToken": {"path": "token"}}, {"configMap": authority}]
