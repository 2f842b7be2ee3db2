"""Kubernetes: a KubeRay RayJob of the user's own file takes the command, and a Secret beside it the files.

The Secret is created first and then the RayJob, each of which the API does once for a name: who was killed in between
has the same submission make what is missing. The Secret goes with the RayJob, which owns it.
"""

import base64
import copy
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from scorefleet.pipelines import cluster_file, lint_kubernetes
from scorefleet.pipelines.launchers import kubernetes_objects
from scorefleet.pipelines.launchers.kubernetes_errors import AlreadyThere, Changed, NotThere
from scorefleet.pipelines.launchers.kubernetes_job import wrapped
from scorefleet.pipelines.launchers.launcher import Job, State, patiently
from scorefleet.tasks.console import notify
from scorefleet.tasks.errors import UsageError

OURS = "scorefleet/"
COMMAND, TICK = f"{OURS}command", f"{OURS}tick"
MANAGED = {"app.kubernetes.io/managed-by": "scorefleet"}
MOST_BYTES = 2**20
"""What Kubernetes takes in a Secret."""

TRIED = "dryRun=All&fieldValidation=Strict"
"""Has Kubernetes check an object, unknown fields too, and keep nothing."""

PARCEL, FOLDER, ARCHIVE = "parcel", "/parcel", "folder.zip"
POLL_S, POLLED_PER_S = 2.0, 100_000
"""What a job has said is read whole, two seconds after the last time, and later where it is long."""

LOST_TIMEOUT_S = 120.0
"""How long Kubernetes may give no answer to who follows a job."""

OF_RAY: Mapping[str, State] = {"SUCCEEDED": "done", "FAILED": "failed", "STOPPED": "stopped"}
OF_DEPLOYMENT: Mapping[str, State] = {
    "Running": "running",
    "Complete": "failed",
    "Failed": "failed",
    "ValidationFailed": "failed",
    "Suspended": "stopped",
    "Suspending": "stopped",
}
ENDED = ("Complete", "Failed")
"""Only then is the submitter's pod done too, and has said everything; what Ray last said of the job counts where it had
ended, and is old where KubeRay gave it up: a pod that could not submit, or a deadline.
"""

EXIT_CODE = re.compile(r"Job entrypoint command failed with exit code (-?\d+)")
"""In what Ray says of a job, which KubeRay hands on."""


class Kubernetes:
    """A launcher; see `launcher.Launcher`."""

    def __init__(self, template: Mapping[str, Any]):
        self.template = template
        namespace = template["metadata"]["namespace"]
        self._rayjobs = f"/apis/ray.io/v1/namespaces/{namespace}/rayjobs"
        self.core = f"/api/v1/namespaces/{namespace}"

    def secret(self) -> str:
        return ""

    def rayjobs(self) -> list[dict[str, Any]]:
        """What is behind `jobs`, as Kubernetes has it."""
        selector = ",".join(f"{key}={value}" for key, value in MANAGED.items())
        try:
            return kubernetes_objects.get(self._rayjobs, labelSelector=selector)["items"]
        except NotThere:
            raise UsageError("Kubernetes knows no RayJobs there: KubeRay 1.5.1 or newer must be installed") from None

    def jobs(self) -> list[Job]:
        return sorted(map(job_of, self.rayjobs()), key=lambda job: job.start_s or time.time())

    def begin(self, identity: str, words: Sequence[str], labels: Mapping[str, str], archive: bytes) -> bool:
        require_small(archive)
        job = filled(self.template, identity, words, labels)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": identity, "labels": MANAGED},
            "data": {ARCHIVE: base64.b64encode(archive).decode()},
        }
        try:
            kubernetes_objects.create(f"{self._rayjobs}?{TRIED}", job)  # what is refused leaves nothing behind
            with suppress(AlreadyThere):
                kubernetes_objects.create(f"{self.core}/secrets", secret)
            kubernetes_objects.create(self._rayjobs, job)
        except AlreadyThere:
            return False
        self._give(identity)
        return True

    def _give(self, identity: str) -> None:
        """Have the Secret go when its RayJob does."""
        owner = kubernetes_objects.reference_to(self._read(identity))

        def give(secret: dict[str, Any]) -> None:
            secret["metadata"]["ownerReferences"] = [owner]

        kubernetes_objects.change(f"{self.core}/secrets/{identity}", give)

    def output(self, identity: str) -> Iterator[str]:
        log, said = _Log(self.core, identity), ""

        def look() -> tuple[Job, str, str]:
            job = self.job(identity)  # asked first, so that what is read after it is whole
            return job, self._event_of(identity) if job.state == "waiting" else "", log.read()

        while True:
            job, reason, text = patiently(look, LOST_TIMEOUT_S)
            if reason not in ("", said):
                notify(f"{identity} waiting: {reason}")
                said = reason
            yield text
            if job.has_ended:
                return
            time.sleep(POLL_S + log.num_said / POLLED_PER_S)

    def stop(self, identity: str) -> bool:
        while True:
            found = self._read(identity)
            if job_of(found).has_ended:
                return False
            found["spec"]["suspend"] = True  # its pods are told to end, with the time that they have for it
            try:
                kubernetes_objects.replace(f"{self._rayjobs}/{identity}", found)
            except Changed:  # by KubeRay, which writes its status there
                continue
            return True

    def job(self, identity: str) -> Job:
        return job_of(self._read(identity))

    def _read(self, identity: str) -> dict[str, Any]:
        try:
            return kubernetes_objects.get(f"{self._rayjobs}/{identity}")
        except NotThere:
            known = "`scorefleet jobs` lists those that it knows"
            raise UsageError(f"Kubernetes knows no RayJob {identity!r} in {self._rayjobs}: {known}") from None

    def _event_of(self, identity: str) -> str:
        """The last thing that went wrong with a RayJob, which its status does not say."""
        selector = f"involvedObject.kind=RayJob,involvedObject.name={identity},type=Warning"
        events = kubernetes_objects.get(f"{self.core}/events", fieldSelector=selector)["items"]
        return events[-1].get("message", "").partition("\n")[0] if events else ""


class _Log:
    """What the pod says that hands on what the command says: the newest, if there were several."""

    def __init__(self, core: str, identity: str):
        self._core, self._selector = core, f"job-name={identity}"
        self._pod, self.num_said = "", 0

    def read(self) -> str:
        """What is new."""
        pods = kubernetes_objects.get(f"{self._core}/pods", labelSelector=self._selector)["items"]
        begun = [pod for pod in pods if pod.get("status", {}).get("phase") not in (None, "Pending")]
        if not begun:
            return ""
        pod = max(begun, key=lambda one: one["metadata"]["creationTimestamp"])["metadata"]["name"]
        if pod != self._pod:
            self._pod, self.num_said = pod, 0
        try:
            text = kubernetes_objects.read(f"{self._core}/pods/{pod}/log")
        except NotThere:  # it has gone since
            return ""
        new, self.num_said = new_of(text, self.num_said), len(text)
        return new


def new_of(text: str, num_said: int) -> str:
    """What follows the first `num_said` characters; all of a log that a node has begun anew, as it does every 10 MB."""
    return text[num_said:] if len(text) >= num_said else text


def require_small(archive: bytes) -> None:
    """Refuse what no Secret holds."""
    if len(archive) > MOST_BYTES:
        raise UsageError(
            f"the files to send are {len(archive) / 2**20:.1f} MB packed, and Kubernetes takes 1 MB: submit from a "
            "folder that holds less, or to the head of a Ray cluster (--to http://...), which takes 20"
        )


def filled(
    template: Mapping[str, Any], identity: str, words: Sequence[str], labels: Mapping[str, str]
) -> dict[str, Any]:
    """The RayJob that runs `words` in the folder that its submitter finds packed in a Secret of the same name; labels
    are its annotations, which may be any text.
    """
    job = copy.deepcopy(dict(template))
    metadata, spec = job["metadata"], job["spec"]
    metadata["name"] = identity
    metadata["labels"] = metadata.get("labels", {}) | MANAGED
    ours = {f"{OURS}{key}": value for key, value in labels.items()}
    metadata["annotations"] = metadata.get("annotations", {}) | ours
    spec["entrypoint"] = f"exec python -m scorefleet.pipelines.launchers.kubernetes_job {wrapped(words)}"
    spec["runtimeEnvYAML"] = f"working_dir: {FOLDER}/{ARCHIVE}\n"
    pod = spec["submitterPodTemplate"]["spec"]
    pod["volumes"] = [*pod.get("volumes", []), {"name": PARCEL, "secret": {"secretName": identity}}]
    container = pod["containers"][0]
    mount = {"name": PARCEL, "mountPath": FOLDER, "readOnly": True}
    container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
    return job


def launcher(to: str) -> Kubernetes:
    """The place of kubectl's current context, with the user's own RayJob, of which nothing may be wrong."""
    beginning, colon, name = to.partition(":")
    if beginning != "kubernetes" or not colon or not name:
        raise UsageError(f"--to must be kubernetes:FILE, your copy of deploy/kubernetes/rayjob.yaml, but got {to!r}")
    template = cluster_file.read(Path(name))
    if template.get("kind") != "RayJob":
        raise UsageError(f"{name} is a {template.get('kind')}, and --to kubernetes:FILE takes a RayJob")
    findings = [*lint_kubernetes.findings_of(template)]
    if findings:
        raise UsageError(f"{name}: {findings[0]}")
    return Kubernetes(template)


def job_of(found: Mapping[str, Any]) -> Job:
    status, metadata = found.get("status") or {}, found["metadata"]
    message = status.get("message") or status.get("reason") or ""
    deployment = status.get("jobDeploymentStatus", "")
    state = OF_DEPLOYMENT.get(deployment, "waiting")
    if deployment in ENDED:
        state = OF_RAY.get(status.get("jobStatus", ""), state)
    elif found["spec"].get("suspend"):
        state = "stopped"
    code = EXIT_CODE.match(message)
    return Job(
        identity=metadata["name"],
        state=state,
        command=metadata.get("annotations", {}).get(COMMAND, ""),
        start_s=seconds(status.get("startTime") or metadata.get("creationTimestamp")),
        end_s=seconds(status.get("endTime")),
        exit_code=0 if state == "done" else int(code[1]) if state == "failed" and code else None,
        message=message.partition("\n")[0],  # and not the log that Ray repeats behind it
    )


def seconds(time: str | None) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None
