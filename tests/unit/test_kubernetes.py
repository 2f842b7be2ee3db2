"""What KubeRay's status says of a job, and what is refused in the file of a cluster."""

import base64
import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scorefleet.pipelines.launchers import kubernetes, launcher_of
from scorefleet.pipelines.launchers.kubernetes_job import unwrapped, wrapped
from scorefleet.pipelines.lint import lint
from scorefleet.pipelines.lint_kubernetes import findings_of
from scorefleet.tasks.errors import UsageError

TEMPLATE = Path(__file__).parents[2] / "deploy" / "kubernetes" / "rayjob.yaml"
RAN_OUT = "The RayJob has passed the activeDeadlineSeconds. StartTime: 1. ActiveDeadlineSeconds: 1"
NOT_SENT = "Job submission has failed. Reason: BackoffLimitExceeded. Message: Job has reached the backoff limit"
FAILED = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars):\n..."


@pytest.mark.parametrize(
    ("deployment", "ray", "message", "state", "exit_code"),
    [
        ("", "", "", "waiting", None),
        ("Initializing", "", "", "waiting", None),
        ("Running", "PENDING", "", "running", None),
        ("Running", "RUNNING", "", "running", None),
        ("Running", "SUCCEEDED", "", "running", None),  # its submitter has not said everything yet
        ("Running", "FAILED", FAILED.format(7), "running", None),
        ("Complete", "SUCCEEDED", "", "done", 0),
        ("Failed", "FAILED", FAILED.format(7), "failed", 7),
        ("Failed", "FAILED", FAILED.format(-9), "failed", -9),
        ("Failed", "FAILED", "Driver's node died; a log said: failed with exit code 3", "failed", None),
        ("Failed", "RUNNING", RAN_OUT, "failed", None),
        ("Failed", "RUNNING", NOT_SENT, "failed", None),
        ("Failed", "", NOT_SENT, "failed", None),
        ("Failed", "SUCCEEDED", "", "done", 0),  # KubeRay did not see its submitter end
        ("Complete", "STOPPED", "", "stopped", None),
        ("Suspending", "RUNNING", "", "stopped", None),
        ("Suspended", "", "", "stopped", None),
        ("Retrying", "FAILED", FAILED.format(7), "waiting", None),
    ],
)
def test_a_job_has_ended_when_kuberay_says_so_and_as_ray_does(deployment, ray, message, state, exit_code):
    status = {"jobDeploymentStatus": deployment, "jobStatus": ray, "message": message}
    job = kubernetes.job_of({"metadata": {"name": "x"}, "spec": {}, "status": status})
    assert (job.state, job.exit_code) == (state, exit_code)


def test_a_job_that_is_told_to_stop_is_stopped_unless_it_had_ended():
    found: dict[str, Any] = {"metadata": {"name": "x"}, "spec": {"suspend": True}}
    assert kubernetes.job_of(found).state == "stopped"
    running = found | {"status": {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}}
    assert kubernetes.job_of(running).state == "stopped"
    ended = found | {"status": {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}}
    assert kubernetes.job_of(ended).state == "done"


def test_a_log_that_was_begun_anew_is_said_from_its_first_word():
    assert kubernetes.new_of("abcd", 2) == "cd"
    assert kubernetes.new_of("abcd", 4) == ""
    assert kubernetes.new_of("ab", 4) == "ab"


def test_words_come_back_as_they_were_from_letters_that_no_shell_alters():
    words = ["a b", "$HOME", "'\"\\`", "é", "", "*;|&<>"]
    assert unwrapped(wrapped(words)) == words
    assert re.fullmatch(r"[A-Za-z0-9_-]+", wrapped(words))


def test_a_job_has_its_name_its_words_and_its_files_and_the_users_own_settings():
    mine = yaml.safe_load(TEMPLATE.read_text())
    mine["metadata"]["labels"] = {"team": "mine"}
    before = copy.deepcopy(mine)
    job = kubernetes.filled(mine, "scorefleet-run-0", ("-m", "scorefleet"), {"command": "run config.yaml"})
    assert mine == before
    assert job["metadata"]["labels"] == {"team": "mine", "app.kubernetes.io/managed-by": "scorefleet"}
    pod = job["spec"]["submitterPodTemplate"]["spec"]
    assert pod["volumes"] == [{"name": "parcel", "secret": {"secretName": "scorefleet-run-0"}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "parcel", "mountPath": "/parcel", "readOnly": True}]
    assert yaml.safe_load(job["spec"]["runtimeEnvYAML"]) == {"working_dir": "/parcel/folder.zip"}
    assert base64.urlsafe_b64decode(job["spec"]["entrypoint"].split()[-1] + "==") == b'["-m", "scorefleet"]'


class Plain(yaml.SafeDumper):
    """No anchors, so that a change in one pod is one in that pod alone."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def change(document: Any, path: str, value: Any) -> None:
    """Set what is at `path`, whose numbers count in lists."""
    *above, last = path.split("/")
    for key in above:
        document = document[int(key)] if isinstance(document, list) else document.setdefault(key, {})
    document[last] = value


CLUSTER, POD = "spec/rayClusterSpec", "spec/rayClusterSpec/headGroupSpec/template/spec"
HEAD = f"{POD}/containers/0"
OPENED = [
    (f"{CLUSTER}/authOptions", None, "authOptions must be {mode: token}"),
    (f"{CLUSTER}/authOptions/mode", "disabled", "authOptions must be {mode: token}"),
    (f"{HEAD}/env", [{"name": "RAY_AUTH_MODE", "value": "disabled"}], "sets RAY_AUTH_MODE to disabled"),
    (f"{CLUSTER}/autoscalerOptions/env", [{"name": "RAY_AUTH_MODE", "value": ""}], "sets RAY_AUTH_MODE to nothing"),
    (f"{CLUSTER}/headGroupSpec/serviceType", "LoadBalancer", "serviceType is LoadBalancer"),
    (f"{CLUSTER}/headGroupSpec/headService", {"spec": {"type": "NodePort"}}, "headService.spec.type is NodePort"),
    (f"{CLUSTER}/headGroupSpec/enableIngress", True, "opens the dashboard"),
    (f"{CLUSTER}/headGroupSpec/rayStartParams/dashboard-host", "0.0.0.0", "is 0.0.0.0, all addresses"),
    (f"{CLUSTER}/workerGroupSpecs/0/minReplicas", 9, "minReplicas <= replicas <= maxReplicas"),
    (f"{POD}/hostNetwork", True, "has hostNetwork"),
    (f"{POD}/hostPID", True, "has hostPID"),
    (f"{POD}/automountServiceAccountToken", True, "automountServiceAccountToken: false"),
    (f"{POD}/volumes", [{"name": "all", "hostPath": {"path": "/"}}], "mounts hostPath /"),
    (f"{POD}/securityContext", {"runAsUser": 0}, "run as another user than root"),
    (f"{HEAD}/securityContext", {"privileged": True}, "not be privileged"),
    (f"{HEAD}/securityContext/capabilities", {"add": ["SYS_ADMIN"]}, "adds capabilities"),
    (f"{HEAD}/ports", [{"containerPort": 8265, "hostPort": 8265}], "has a hostPort"),
    (f"{HEAD}/env", [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}], "holds a secret in AWS_SECRET_ACCESS_KEY"),
    (f"{HEAD}/env", [{"name": "DATABASE", "value": "postgresql://me:hunter2@db/x"}], "holds a secret in DATABASE"),
    (f"{HEAD}/args", ["RAY_AUTH_TOKEN=0123 ray start"], "holds a secret in its command"),
    ("spec/submitterPodTemplate", None, "submitterPodTemplate has no containers"),
    ("spec/backoffLimit", 2, "backoffLimit must be 0"),
    ("spec/shutdownAfterJobFinishes", False, "must be true"),
    ("spec/submissionMode", "HTTPMode", "must be K8sJobMode"),
    ("metadata/namespace", None, "metadata.namespace is missing"),
]


@pytest.mark.parametrize(("path", "value", "said"), OPENED)
def test_a_file_that_would_open_a_cluster_is_refused_in_a_line_that_says_what_to_do(
    path, value, said, tmp_path, monkeypatch, capsys
):
    document = yaml.safe_load(yaml.dump(yaml.safe_load(TEMPLATE.read_text()), Dumper=Plain))
    change(document, path, value)
    found = [*findings_of(document)]
    assert any(said in line for line in found), found
    assert not any("\n" in line or "hunter2" in line for line in found)
    (tmp_path / "rayjob.yaml").write_text(yaml.dump(document))
    monkeypatch.chdir(tmp_path)
    assert lint(["rayjob.yaml"]) == 2
    assert said in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"^rayjob\.yaml: "):
        launcher_of("kubernetes:rayjob.yaml")


def test_the_file_that_ships_has_nothing_to_object_to(capsys):
    assert lint([str(TEMPLATE)]) == 0
    assert "nothing to object to" in capsys.readouterr().out


def test_a_place_without_a_file_or_with_another_kind_of_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for to in ("kubernetes", "kubernetes:"):
        with pytest.raises(UsageError, match="must be kubernetes:FILE"):
            launcher_of(to)
    with pytest.raises(UsageError, match="cannot be read"):
        launcher_of("kubernetes:absent.yaml")
    (tmp_path / "other.yaml").write_text("kind: Deployment\n")
    with pytest.raises(UsageError, match="takes a RayJob"):
        launcher_of("kubernetes:other.yaml")
