"""What KubeRay has a submitter's pod do with our RayJob, done on a real Ray head that asks for a token.

The command is KubeRay's, of `BuildJobSubmitCommand` in ray-operator/controllers/ray/common/job.go: a shell asks for the
job, submits it if there is none, and follows it. Only Kubernetes itself is missing.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.job_submission import JobStatus

from scorefleet.pipelines.launchers import kubernetes, launcher_of
from scorefleet.pipelines.parcel import pack
from tests.integration import ray_head
from tests.integration.ray_head import Head

pytestmark = pytest.mark.timeout(300)

TEMPLATE = Path(__file__).parents[2] / "deploy" / "kubernetes" / "rayjob.yaml"
AWKWARD = ("two words", "$HOME", "`id`", "'\"\\", "a;b|c&d", "*", "é", "")
CODE = "import sys; open(sys.argv[1], 'a').write('begun '); print(repr(sys.argv[2:])); raise SystemExit(7)"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head.running() as started:
        yield started


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A RayJob of the template that ships, with its parcel where the submitter's pod would have it."""
    (tmp_path / "parcel").mkdir()
    (tmp_path / "mine").mkdir()
    archive = pack(tmp_path / "mine", [], [], "canary").archive
    (tmp_path / "parcel" / kubernetes.ARCHIVE).write_bytes(archive)
    monkeypatch.setattr(kubernetes, "FOLDER", str(tmp_path / "parcel"))
    words = ("-c", CODE, str(tmp_path / "count"), *AWKWARD)
    return kubernetes.filled(yaml.safe_load(TEMPLATE.read_text()), "scorefleet-run-0", words, {"command": "run"})


def submitted(head: Head, job: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """What the submitter's container does, and says."""
    spec, name = job["spec"], job["metadata"]["name"]
    env = json.dumps(json.dumps(yaml.safe_load(spec["runtimeEnvYAML"])))
    at = f"--address {head.to}"
    script = (
        f"if ! ray job status {at} {name} >/dev/null 2>&1 ; then ray job submit {at} --no-wait "
        f"--runtime-env-json {env} --submission-id {name} -- {spec['entrypoint']} ; fi ; "
        f"ray job logs {at} --follow {name}"
    )
    return subprocess.run(
        ["/bin/bash", "-c", script],
        env=ray_head.environment(head.folder / "token") | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_words_arrive_as_they_were_a_second_submitter_begins_nothing_and_the_exit_code_is_the_commands(
    head, job, tmp_path, monkeypatch
):
    for _ in range(2):
        done = submitted(head, job)
        assert repr([*AWKWARD]) in done.stdout, done.stderr
    assert (tmp_path / "count").read_text() == "begun "
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    ray = launcher_of(head.to).job(job["metadata"]["name"])
    status = {"jobStatus": JobStatus.FAILED.value, "jobDeploymentStatus": "Failed", "message": ray.message}
    told = kubernetes.job_of(job | {"status": status})
    assert (told.state, told.exit_code) == ("failed", ray.exit_code) == ("failed", 7)
