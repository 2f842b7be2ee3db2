"""Commands on Kubernetes: kubectl itself, against a small API server that runs what it is given.

No Kubernetes could be installed here: what its API and KubeRay answer is as their references say.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests import kubernetes_api
from tests.integration import tiny
from tests.integration.conftest import wait_until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("kubectl") is None, reason="kubectl is not installed: apt-get install kubernetes-client"
    ),
]

REPOSITORY = Path(__file__).parents[2]
TEMPLATE = REPOSITORY / "deploy" / "kubernetes" / "rayjob.yaml"
TO = ("--to", "kubernetes:rayjob.yaml")
PLAN, FAILING = ("run", "--data", "sklearn:wine", "--dry-run"), ("generate", "--model", "models:/nobody@champion")
PATIENCE_S = 90


def scorefleet(api: kubernetes_api.Kubernetes, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = tiny.clean_environment() | {
        "KUBECONFIG": str(api.folder / "kubeconfig"),
        "PYTHONPATH": str(REPOSITORY),
        "XDG_DATA_HOME": str(api.folder.parent / "kept"),
        "RAY_AUTH_MODE": "token",
    }
    command = [sys.executable, "-m", "scorefleet", *words]
    here = api.folder.parent / "mine"
    return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)


def submit(api: kubernetes_api.Kubernetes, words: tuple[str, ...], *more: str) -> "subprocess.CompletedProcess[str]":
    return scorefleet(api, "submit", *words, "--root", str(api.folder / "root"), *TO, *more)


def test_the_shipped_file_passes_the_lint_and_the_schemas(api):
    linted = scorefleet(api, "lint", str(TEMPLATE))
    assert (linted.returncode, linted.stderr) == (0, "")
    kuberay = yaml.safe_load(TEMPLATE.read_text())
    kubernetes_api.kuberay_fields.require_rayjob(kuberay)


def test_a_command_runs_there_once_and_says_and_returns_what_it_does(api):
    done = submit(api, PLAN)
    assert done.returncode == 0, done.stderr
    assert "prepare" in done.stdout
    (identity,) = api.commands
    again = submit(api, PLAN)
    assert (again.returncode, len(api.commands)) == (0, 1)
    assert "has ended well already" in again.stderr
    listed = scorefleet(api, "jobs", *TO)
    assert f"{identity:<36} done" in listed.stdout
    assert "run --data sklearn:wine --dry-run" in listed.stdout
    followed = scorefleet(api, "jobs", "follow", identity, *TO)
    assert (followed.returncode, followed.stdout) == (0, done.stdout)


def test_a_command_that_fails_returns_its_own_exit_code_and_is_begun_again(api):
    first, second = submit(api, FAILING), submit(api, FAILING)
    assert first.returncode == second.returncode == 2, first.stderr + first.stdout
    assert "nobody" in first.stdout
    assert sorted(len(name) for name in api.commands) == [len("scorefleet-generate-0123456789ab") + k for k in (0, 2)]


def test_of_submissions_at_once_one_begins_it(api):
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: submit(api, PLAN), range(4)))
    assert [one.returncode for one in done] == [0, 0, 0, 0]
    assert len(api.commands) == 1


def test_a_submitter_that_is_lost_between_files_and_job_is_caught_up_by_the_next(api):
    plain, api.create = (
        api.create,
        lambda path, *what: (plain if "secrets" in path or what[-1] else unavailable)(path, *what),
    )
    assert submit(api, PLAN, "--detach").returncode == 5
    assert api.commands == {}
    api.create = plain
    assert submit(api, PLAN).returncode == 0
    (secret,) = [one for place, one in api.objects.items() if "/secrets/" in place]
    (job,) = [one for place, one in api.objects.items() if "/rayjobs/" in place]
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
    assert len(api.commands) == 1


def unavailable(*what: object) -> tuple[int, dict]:
    return 503, kubernetes_api.status("ServiceUnavailable", "the server is currently unable to handle the request")


def test_a_job_that_is_stopped_is_told_to_end_and_begun_again_by_the_next(api):
    module = "import time\n\nwhile True:\n    time.sleep(1)\n"
    (api.folder.parent / "mine" / "endless.py").write_text(module)
    endless = ("sample", "--target", "endless:log_density", "--dim", "2")
    assert submit(api, endless, "--detach").returncode == 0
    wait_until(lambda: bool(api.commands), PATIENCE_S)
    ((identity, command),) = api.commands.items()
    assert scorefleet(api, "jobs", "stop", identity, *TO).returncode == 0
    assert command.wait(PATIENCE_S) != 0
    assert scorefleet(api, "jobs", "follow", identity, *TO).returncode == 143
    assert f"{identity:<36} stopped" in scorefleet(api, "jobs", *TO).stdout
    assert submit(api, endless, "--detach").returncode == 0
    wait_until(lambda: f"{identity}-2" in api.commands, PATIENCE_S)


def be_away(api: kubernetes_api.Kubernetes) -> None:
    """From when a job is followed until who follows has asked in vain."""
    wait_until(lambda: any(path.endswith("/log") for path in api.asked), PATIENCE_S)
    api.is_away = True
    asked = len(api.asked)
    wait_until(lambda: len(api.asked) > asked, PATIENCE_S)
    api.is_away = False


def test_an_api_that_is_away_for_a_while_is_waited_for(api):
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(submit, api, FAILING)
        be_away(api)
        assert followed.result().returncode == 2


def test_without_the_token_or_with_a_file_that_opens_pods_it_is_one_line(api):
    here = api.folder.parent / "mine"
    (here / "open.yaml").write_text(
        TEMPLATE.read_text().replace("authOptions: {mode: token}", "authOptions: {mode: disabled}")
    )
    opened = scorefleet(api, "jobs", "--to", "kubernetes:open.yaml")
    assert (opened.returncode, opened.stderr.count("\n")) == (2, 1)
    assert "authOptions must be {mode: token}" in opened.stderr
    api.token = "another"
    refused = scorefleet(api, "jobs", *TO)
    assert (refused.returncode, refused.stderr.count("\n")) == (5, 1)
    assert "Unauthorized" in refused.stderr or "logged in" in refused.stderr
    lost = scorefleet(api, "jobs", "follow", "scorefleet-run-0", "--to", "kubernetes:nothing.yaml")
    assert (lost.returncode, lost.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("known", "unknown"), [("replicas", "replica"), ("volumeMounts", "mounts"), ("image", "picture")]
)
def test_a_field_that_kubernetes_does_not_know_is_one_line_and_leaves_nothing(api, known, unknown):
    """In a group of workers, in the autoscaler's options, in a pod."""
    file = api.folder.parent / "mine" / "rayjob.yaml"
    file.write_text(re.sub(rf"\b{known}:", f"{unknown}:", file.read_text(), count=1))
    refused = submit(api, PLAN)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert unknown in refused.stderr
    assert api.objects == {}


def test_more_than_a_secret_holds_is_refused_and_nothing_is_created(api):
    (api.folder.parent / "mine" / "noise.bin").write_bytes(os.urandom(2**20))
    done = submit(api, PLAN)
    assert (done.returncode, api.objects) == (2, {})
    assert "Kubernetes takes 1 MB" in done.stderr
