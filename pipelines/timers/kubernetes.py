"""Kubernetes' own timer: a CronJob, which has a pod in the cluster submit the command at each tick and follow it.

The CronJob is made first, suspended, since the API takes its name once; then the Secret that it owns, with the files;
then it is woken. Who is killed in between leaves what begins nothing, and `remove` takes it away.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from scorefleet.pipelines.due import Schedule
from scorefleet.pipelines.launchers import kubernetes, kubernetes_objects
from scorefleet.pipelines.launchers.kubernetes_errors import AlreadyThere, NotThere
from scorefleet.pipelines.launchers.kubernetes_objects import Object, reference_to
from scorefleet.pipelines.submit import order_of
from scorefleet.pipelines.timers import kubernetes_cronjob
from scorefleet.pipelines.timers.kubernetes_cronjob import ACCOUNT, RAYJOB, SCHEDULE, cron_of, name_of
from scorefleet.pipelines.timers.kubernetes_history import has_ended, pasts
from scorefleet.pipelines.timers.timer import Past
from scorefleet.tasks.errors import ServiceError, UsageError, UserError
from scorefleet.tasks.store import objects

AFTER_REMOVAL_S = 24 * 3600
"""How long what a tick said is kept after its end where its schedule is gone."""


class KubernetesTimer:
    """A timer; see `timer.Timer`. `folder` keeps the RayJob's file as it was when the schedule was added."""

    def add(self, folder: Path, made: Schedule) -> None:
        file = Path(made.folder) / str(made.to).partition(":")[2]
        place, rayjob = _Place(folder.name, file), file.read_bytes()
        order = order_of(made.words, Path(made.folder), "", "")
        kubernetes.require_small(order.archive + rayjob)
        cron_of(made.cron)
        place.require_account()
        place.require_none_running()
        objects.replace(folder, RAYJOB, rayjob)
        parcel = f"{place.name}-{int(datetime.fromisoformat(made.since).timestamp())}"
        words = order.words[2:]  # those behind `python -m scorefleet`, where every place is absolute
        cronjob = kubernetes_cronjob.cronjob(folder.name, made, place.template, parcel, words)
        owner = reference_to(place.make(cronjob))
        try:
            secret = kubernetes_cronjob.secret(parcel, owner, order.archive, rayjob)
            kubernetes_objects.create(f"{place.core}/secrets", secret)
            kubernetes_objects.change(place.cronjob, _wake)
        except UserError:
            with suppress(ServiceError):  # what is left where this fails too begins nothing
                kubernetes_objects.delete(place.cronjob)
            raise

    def remove(self, folder: Path, made: Schedule) -> bool:
        place = _place_of(folder)
        running = [job for job in place.jobs() if not has_ended(job)]
        for job in running:
            place.let_go_on(job)
        with suppress(NotThere):
            kubernetes_objects.delete(place.cronjob)
        return bool(running)

    def following(self, folder: Path, made: Schedule) -> datetime | None:
        try:
            found = kubernetes_objects.get(_place_of(folder).cronjob)
        except NotThere:
            return None
        after = cron_of(made.cron).after(datetime.now(UTC).replace(tzinfo=None))
        return after.replace(tzinfo=UTC) if after and not found["spec"].get("suspend") else None

    def history(self, folder: Path, made: Schedule) -> Iterator[Past]:
        place = _place_of(folder)
        return pasts(place.name, str(made.to), place.rayjobs(), place.jobs(), place.warnings())


def timer(to: str | None) -> KubernetesTimer:
    """Kubernetes', whose file lies where the schedule says."""
    return KubernetesTimer()


class _Place:
    """Where the schedule of a name is in Kubernetes, by a RayJob's file."""

    def __init__(self, schedule: str, file: Path):
        launcher = kubernetes.launcher(f"kubernetes:{file}")
        self.name, self.template, self.rayjobs = name_of(schedule), launcher.template, launcher.rayjobs
        self.namespace = launcher.template["metadata"]["namespace"]
        batch = f"/apis/batch/v1/namespaces/{self.namespace}"
        self._cronjobs, self._jobs, self.core = f"{batch}/cronjobs", f"{batch}/jobs", launcher.core
        self.cronjob = f"{self._cronjobs}/{self.name}"

    def make(self, cronjob: Object) -> Object:
        try:
            return kubernetes_objects.create(f"{self._cronjobs}?fieldValidation=Strict", cronjob)
        except AlreadyThere:
            how = f"if nobody needs it, `kubectl delete cronjob {self.name} --namespace {self.namespace}`"
            raise UsageError(f"there is a CronJob {self.name} in {self.namespace} already: {how}") from None
        except NotThere:
            raise UsageError("Kubernetes knows no CronJobs of batch/v1: 1.26 or newer must be there") from None

    def jobs(self) -> list[Object]:
        """Those that the CronJob has begun, and not yet forgotten."""
        return kubernetes_objects.get(self._jobs, labelSelector=f"{SCHEDULE}={self.name}")["items"]

    def warnings(self) -> dict[str, str]:
        """The last thing that went wrong with each Job or its pods, which its status does not say."""
        events = kubernetes_objects.get(f"{self.core}/events", fieldSelector="type=Warning")["items"]
        return {_job_of(event["involvedObject"]): event.get("message", "") for event in events}

    def require_account(self) -> None:
        try:
            kubernetes_objects.get(f"{self.core}/serviceaccounts/{ACCOUNT}")
        except NotThere:
            how = "have who may do it `kubectl apply --filename deploy/kubernetes/schedule.yaml`, once"
            raise UsageError(f"there is no ServiceAccount {ACCOUNT} in {self.namespace}: {how}") from None

    def require_none_running(self) -> None:
        """Of a schedule that had the name before: this one's CronJob would not know of it, and run beside it."""
        for job in self.jobs():
            if not has_ended(job):
                raise UsageError(f"{job['metadata']['name']}, a tick of a removed schedule, is running: await its end")

    def let_go_on(self, job: Object) -> None:
        """Have a Job outlive its CronJob, and its files with it."""
        volumes = job["spec"]["template"]["spec"]["volumes"]
        parcel = next(one["secret"]["secretName"] for one in volumes if one["name"] == kubernetes.PARCEL)
        owner = reference_to({"apiVersion": "batch/v1", "kind": "Job"} | job)  # which no item of a list says

        def give(secret: Object) -> None:
            owners = secret["metadata"].get("ownerReferences", [])
            secret["metadata"]["ownerReferences"] = [*(one for one in owners if one != owner), owner]

        def free(there: Object) -> None:
            there["metadata"]["ownerReferences"] = []
            there["spec"]["ttlSecondsAfterFinished"] = AFTER_REMOVAL_S

        with suppress(NotThere):
            kubernetes_objects.change(f"{self.core}/secrets/{parcel}", give)
            kubernetes_objects.change(f"{self._jobs}/{job['metadata']['name']}", free)


def _place_of(folder: Path) -> _Place:
    return _Place(folder.name, folder / RAYJOB)


def _job_of(involved: Mapping[str, str]) -> str:
    """A pod's name is its Job's and five letters more."""
    name = involved["name"]
    return name.rpartition("-")[0] if involved.get("kind") == "Pod" else name


def _wake(cronjob: Object) -> None:
    cronjob["spec"]["suspend"] = False
