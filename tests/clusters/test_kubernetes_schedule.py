"""Schedules on Kubernetes: the real command and kubectl make a CronJob, and its pod's own command runs at each tick."""

import base64
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import yaml

from tests import kubelet
from tests.clusters.test_kubernetes import (
    FAILING,
    PATIENCE_S,
    PLAN,
    REPOSITORY,
    TEMPLATE,
    TO,
    be_away,
    scorefleet,
    unavailable,
)
from tests.integration.conftest import wait_until
from tests.kubernetes_api import CORE, CRONJOBS, JOBS, Kubernetes

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("kubectl") is None, reason="kubectl is not installed: apt-get install kubernetes-client"
    ),
]
own_root = pytest.mark.skipif(os.geteuid() != 0, reason="a pod's own root needs root and util-linux")

RIGHTS = REPOSITORY / "deploy" / "kubernetes" / "schedule.yaml"
CRONJOB = f"{CRONJOBS}/scorefleet-nightly"
TONIGHT, TOMORROW = 29_384_820, 29_386_260
"""3 o'clock of 2025-11-14 and of the next day, UTC, in minutes since 1970."""


@pytest.fixture(autouse=True)
def account(api: Kubernetes) -> str:
    """What an administrator has made once."""
    (made,) = (one for one in yaml.safe_load_all(RIGHTS.read_text()) if one["kind"] == "ServiceAccount")
    place = f"{CORE}/serviceaccounts/{made['metadata']['name']}"
    api.objects[place] = made
    return place


def schedule(api: Kubernetes, action: str, *words: str) -> tuple[int, str]:
    """Its exit code, and the lines that it says."""
    done = scorefleet(api, "schedule", action, *words)
    return done.returncode, done.stdout + done.stderr


def add(api: Kubernetes, words: tuple[str, ...], *more: str, cron: str = "0 3 * * *") -> tuple[int, str]:
    return schedule(api, "add", "nightly", "--cron", cron, *more, *TO, *words, "--root", str(api.folder / "root"))


def kinds(api: Kubernetes) -> list[str]:
    """What there is beside the account."""
    return sorted(place.split("/")[-2] for place in api.objects if "/serviceaccounts/" not in place)


def test_what_is_added_is_a_cronjob_that_kubernetes_knows_every_field_of(api):
    code, said = add(api, PLAN, "--missed", "skip")
    assert (code, said.count("\n")) == (0, 1), said
    assert re.search(r"to kubernetes:rayjob.yaml, next at \d{4}-\d\d-\d\d 03:00 UTC$", said)
    spec = api.objects[CRONJOB]["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 3 * * *", "Etc/UTC", False)
    assert (spec["concurrencyPolicy"], spec["startingDeadlineSeconds"]) == ("Forbid", 60)
    (secret,) = (one for place, one in api.objects.items() if "/secrets/" in place)
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [
        api.objects[CRONJOB]["metadata"]["uid"]
    ]
    assert base64.b64decode(secret["data"]["rayjob.yaml"]) == TEMPLATE.read_bytes()
    assert "next at" in schedule(api, "list")[1]
    api.objects[CRONJOB]["spec"]["suspend"] = True
    assert "next never" in schedule(api, "list")[1]


def test_a_name_is_taken_once_from_wherever(api):
    assert add(api, PLAN)[0] == 0
    assert add(api, PLAN) == (
        2,
        "scorefleet: there is a schedule 'nightly' already: `scorefleet schedule remove nightly` first\n",
    )
    before = api.objects.copy()
    shutil.rmtree(api.folder.parent / "kept")  # as on another machine
    code, said = add(api, PLAN)
    assert (code, said.count("\n")) == (2, 1)
    assert "there is a CronJob scorefleet-nightly in scorefleet already" in said
    assert api.objects == before


@pytest.mark.parametrize(
    ("name", "cron"),
    [("a" * 42, "0 3 * * *"), ("end-", "0 3 * * *"), ("é", "0 3 * * *"), ("nightly", "0 3 */2 * 1")],
)
def test_what_kubernetes_cannot_do_is_one_line_and_leaves_nothing(api, name, cron):
    code, said = schedule(api, "add", name, "--cron", cron, *TO, *PLAN)
    assert (code, said.count("\n")) == (2, 1)
    assert kinds(api) == []


def test_what_is_refused_or_not_whole_leaves_nothing(api, account):
    file, plain = api.folder.parent / "mine" / "rayjob.yaml", api.create
    file.write_text(TEMPLATE.read_text().replace("image: &image", "picture: &image", 1))
    code, said = add(api, PLAN)
    assert (code, said.count("\n"), "picture" in said) == (2, 1, True)
    file.write_text(TEMPLATE.read_text())
    api.create = lambda path, *what: (unavailable if "secrets" in path else plain)(path, *what)
    code, said = add(api, PLAN)
    assert (code, said.count("\n")) == (5, 1)
    api.create = plain
    del api.objects[account]
    code, said = add(api, PLAN)
    assert (code, said.count("\n")) == (2, 1)
    assert "no ServiceAccount scorefleet-schedule in scorefleet" in said
    assert kinds(api) == []
    assert schedule(api, "list") == (0, "")


def pod(api: Kubernetes, minutes: int) -> tuple[dict[str, Any], int, str]:
    """The Job of a tick, which is made if there is none, and how a pod of it ended."""
    there = api.objects.get(f"{JOBS}/scorefleet-nightly-{minutes}")
    job = there or kubelet.begin(api, api.objects[CRONJOB], minutes)
    done = kubelet.run(api, job, api.folder / f"pod-{minutes}", api.token)
    return job, done.returncode, done.stdout + done.stderr


@own_root
def test_a_tick_is_one_rayjob_however_many_pods_submit_it_and_the_next_is_another(api):
    assert add(api, PLAN)[0] == 0
    job, code, said = pod(api, TONIGHT)
    assert code == 0, said
    assert "prepare" in said
    assert len(api.commands) == 1
    assert "exit code 0" in schedule(api, "history", "nightly")[1]
    _, code, said = pod(api, TONIGHT)
    assert (code, len(api.commands)) == (0, 1)
    assert "has ended well already" in said
    kubelet.end(job, 0)
    assert pod(api, TOMORROW)[1] == 0
    first, second = api.commands
    lines = [line.split() for line in schedule(api, "history", "nightly")[1].splitlines()]
    assert [line[0] for line in lines] == ["2025-11-14T0300Z", "2025-11-15T0300Z"]
    assert [line[-3] for line in lines] == [first, second]


@own_root
def test_what_a_command_returns_is_what_its_pod_does_and_it_is_not_begun_again(api):
    assert add(api, FAILING)[0] == 0
    for _ in range(2):
        job, code, said = pod(api, TONIGHT)
        assert (code, len(api.commands)) == (2, 1), said
        assert "nobody" in said
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert 2 not in rules[1]["onExitCodes"]["values"]
    assert "exit code 2" in schedule(api, "history", "nightly")[1]


@own_root
def test_a_pod_waits_for_an_api_that_is_away_and_without_a_token_that_counts_says_so_in_a_line(api):
    assert add(api, FAILING)[0] == 0
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(pod, api, TONIGHT)
        be_away(api)
        assert followed.result()[1] == 2
    job = kubelet.begin(api, api.objects[CRONJOB], TOMORROW)
    for token in ("another-token", "another\ntoken"):
        done = kubelet.run(api, job, api.folder / "pod", token)
        assert (done.returncode, done.stderr.count("\n")) == (5, 1)
        assert "by the service account of this pod" in done.stderr
        assert "another" not in done.stderr


@own_root
def test_a_removed_schedule_has_its_tick_go_on_and_its_history_stay(api):
    go = api.folder / "go"
    waiting = f"import pathlib, time\n\nwhile not pathlib.Path('{go}').exists():\n    time.sleep(0.1)\n"
    (api.folder.parent / "mine" / "waiting.py").write_text(waiting)
    assert add(api, ("sample", "--target", "waiting:log_density", "--dim", "2"))[0] == 0
    ended = kubelet.begin(api, api.objects[CRONJOB], TONIGHT)
    kubelet.end(ended, 1)
    with ThreadPoolExecutor(1) as pool, ExitStack() as at_end:
        at_end.callback(go.touch)  # without which the command never ends
        followed = pool.submit(pod, api, TOMORROW)
        wait_until(lambda: bool(api.commands), PATIENCE_S)
        wait_until(lambda: "running" in schedule(api, "list")[1], PATIENCE_S)
        assert schedule(api, "remove", "nightly") == (0, "removed nightly; the tick now running will finish\n")
        assert kinds(api) == ["jobs", "pods", "rayjobs", "secrets", "secrets"]
        code, said = add(api, PLAN)
        assert (code, said.count("\n")) == (2, 1)
        assert f"scorefleet-nightly-{TOMORROW}" in said
    job, code, said = followed.result()
    assert code == 2, said
    kubelet.end(job, code)
    del api.objects[f"{JOBS}/scorefleet-nightly-{TOMORROW}"]
    assert schedule(api, "history", "nightly")[1].split()[0] == "2025-11-15T0300Z"
    assert "exit code 2" in schedule(api, "history", "nightly")[1]
    assert add(api, PLAN)[0] == 0
    assert schedule(api, "remove", "nightly") == (0, "removed nightly\n")
