"""The CronJob of a schedule, and what Kubernetes' objects say of its ticks."""

import copy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from scorefleet.pipelines.due import Schedule
from scorefleet.pipelines.lint_kubernetes import findings_of
from scorefleet.pipelines.timers import timer_of
from scorefleet.pipelines.timers.kubernetes import KubernetesTimer
from scorefleet.pipelines.timers.kubernetes_cronjob import cron_of, cronjob, name_of
from scorefleet.pipelines.timers.kubernetes_history import has_ended, pasts
from scorefleet.tasks.errors import UsageError
from tests import kuberay_fields

TEMPLATE = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "kubernetes" / "rayjob.yaml").read_text())
NIGHTLY = Schedule("0 3 * * *", "run", ("run",), "kubernetes:rayjob.yaml", "/", "/bin", "2026-01-01T00:00:00+00:00")
SKIPPING = Schedule("0 3 * * *", "skip", ("run",), "kubernetes:rayjob.yaml", "/", "/bin", "2026-01-01T00:00:00+00:00")
KEY = "/var/run/secrets/kubernetes.io/serviceaccount"
TICK = 29_384_820
"""2025-11-14, 3 o'clock UTC, in minutes since 1970."""


def made(template: dict[str, Any] = TEMPLATE, schedule: Schedule = NIGHTLY, *words: str) -> dict[str, Any]:
    return cronjob("Nightly", schedule, template, "parcel-1", words)


def test_only_a_place_of_kubernetes_has_this_timer():
    assert isinstance(timer_of("kubernetes:rayjob.yaml"), KubernetesTimer)
    assert not isinstance(timer_of("http://127.0.0.1:8265"), KubernetesTimer)
    assert not isinstance(timer_of(None), KubernetesTimer)


def test_a_name_becomes_one_that_kubernetes_takes_or_is_refused():
    assert name_of("Night_ly-2") == "scorefleet-night-ly-2"
    assert len(name_of("a" * 41)) == 52
    for name in ("a" * 42, "nightly-", "nightly_", "é", "nigh²"):
        with pytest.raises(UsageError, match="at most 41 of a-z"):
            name_of(name)


@pytest.mark.parametrize("cron", ["0 3 */2 * 1", "0 3 1 * */2", "0 3 1,* * 1"])
def test_days_that_cron_and_kubernetes_read_otherwise_are_refused(cron):
    with pytest.raises(UsageError, match="give one of them"):
        cron_of(cron)


@pytest.mark.parametrize("cron", ["0 3 */2 * *", "0 3 * * */2", "0 3 1 * 1", "*/5 * * * *"])
def test_days_that_they_read_alike_are_taken(cron):
    assert cron_of(cron).after(datetime(2026, 1, 1)) is not None


def test_ticks_never_overlap_and_a_missed_one_is_caught_up_or_left_out_as_told():
    for schedule, deadline in ((NIGHTLY, None), (SKIPPING, 60)):
        spec = made(schedule=schedule)["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec.get("startingDeadlineSeconds") == deadline


def test_none_begins_before_its_files_are_there():
    assert made()["spec"]["suspend"] is True


def test_one_container_alone_has_a_key_and_the_users_own_file_is_as_it_was_and_may_give_none():
    template, before = copy.deepcopy(TEMPLATE), copy.deepcopy(TEMPLATE)
    pod = template["spec"]["submitterPodTemplate"]["spec"]
    beside = pod["containers"][0] | {"name": "beside"}
    pod |= {"containers": [*pod["containers"], beside], "initContainers": [beside | {"name": "before"}]}
    before = copy.deepcopy(template)
    document = made(template)
    assert template == before
    kuberay_fields.require(document)
    pod = document["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    mounted = [one["name"] for one in (*pod["containers"], *pod["initContainers"]) if KEY in str(one)]
    assert mounted == ["submitter"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"] == beside["securityContext"]
    template["spec"]["submitterPodTemplate"]["spec"]["automountServiceAccountToken"] = True
    assert any("automountServiceAccountToken: false" in line for line in findings_of(template))


def test_words_are_such_that_kubernetes_puts_no_variable_in_them():
    container = made(TEMPLATE, NIGHTLY, "run", "$(TICK) $$ $HOME")["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert "$$(TICK) $$$$ $$HOME" in container["args"]
    assert container["args"][-2:] == ["--tick", "$(TICK)"]


def test_a_pod_that_was_lost_is_replaced_and_one_whose_command_ended_is_not():
    lost, ended = made()["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (lost["action"], lost["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (ended["action"], ended["onExitCodes"]["operator"]) == ("FailJob", "NotIn")
    assert ended["onExitCodes"]["values"] == [5, 137, 143]
    assert ended["onExitCodes"]["containerName"] == "submitter"


def rayjob(minutes: int, created: str, **status: str) -> dict[str, Any]:
    tick = {"scorefleet/tick": f"scorefleet-nightly-{minutes}"}
    metadata = {"name": f"scorefleet-run-{minutes}", "creationTimestamp": created, "annotations": tick}
    return {"metadata": metadata, "spec": {}, "status": status}


def job(minutes: object, kind: str = "", message: str = "", **status: Any) -> dict[str, Any]:
    if kind:
        ended = {"type": kind, "status": "True", "message": message, "lastTransitionTime": "2025-11-14T03:10:00Z"}
        status["conditions"] = [ended]
    return {"metadata": {"name": f"scorefleet-nightly-{minutes}", "namespace": "mine"}, "status": status}


def outcomes(rayjobs: list[dict[str, Any]], jobs: list[dict[str, Any]], **warnings: str) -> list[str]:
    said = {name.replace("_", "-"): line for name, line in warnings.items()}
    return [past.outcome for past in pasts("scorefleet-nightly", "kubernetes:x.yaml", rayjobs, jobs, said)]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ({}, "waiting"),
        ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, "running"),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, "exit code 0"),
        (
            {
                "jobDeploymentStatus": "Failed",
                "jobStatus": "FAILED",
                "message": "Job entrypoint command failed with exit code -9, last",
            },
            "exit code 137",
        ),
        ({"jobDeploymentStatus": "Failed", "message": "Driver's node died"}, "lost: Driver's node died"),
        ({"jobDeploymentStatus": "Suspended"}, "stopped"),
    ],
)
def test_a_tick_ends_as_its_rayjob_does_whatever_becomes_of_its_pods(status, outcome):
    for jobs in ([], [job(TICK, "Failed", "no answer")]):
        assert outcomes([rayjob(TICK, "2025-11-14T03:00:10Z", **status)], jobs) == [outcome]


@pytest.mark.parametrize(
    ("found", "warning", "outcome"),
    [
        (job(TICK, "Complete"), "", "exit code 0"),
        (job(TICK, "Failed", "Container x for pod y failed with exit code 2 matching FailJob rule"), "", "exit code 2"),
        (job(TICK, "Failed", "Job has reached the backoff limit"), "", "lost: Job has reached the backoff limit"),
        (job(TICK, ready=1), "it was late", "running"),
        (job(TICK), "exceeded quota", "waiting: exceeded quota"),
        (job(TICK), "", "waiting"),
    ],
)
def test_a_tick_without_a_rayjob_is_as_its_job_says(found, warning, outcome):
    assert outcomes([], [found], **{f"scorefleet_nightly_{TICK}": warning}) == [outcome]
    assert has_ended(found) is ("conditions" in found["status"])


def test_ticks_are_in_order_of_their_times_and_others_are_left_out():
    done = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    rayjobs = [
        rayjob(TICK, "2025-11-14T04:00:00Z", **done),  # the second attempt
        rayjob(TICK, "2025-11-14T03:00:00Z", jobDeploymentStatus="Failed"),
        {"metadata": {"name": "another", "creationTimestamp": "2025-11-14T03:00:00Z"}, "spec": {}},
    ]
    jobs = [job(TICK + 1440, ready=1), job(f"2-{TICK}", ready=1), job("by-hand", ready=1)]
    found = list(pasts("scorefleet-nightly", "kubernetes:x.yaml", rayjobs, jobs, {}))
    assert [(past.tick, past.outcome) for past in found] == [
        ("2025-11-14T0300Z", "exit code 0"),
        ("2025-11-15T0300Z", "running"),
    ]
    assert found[0].log == f"scorefleet jobs follow scorefleet-run-{TICK} --to kubernetes:x.yaml"
    assert found[1].log == f"kubectl logs job/scorefleet-nightly-{TICK + 1440} --namespace mine"
