"""`ray up` with the file that ships and the commands of docs/clusters.md, on hosts that are reached by ssh.

The tests of this file are the life of one cluster, in order.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from scorefleet.pipelines.cli import main
from tests.clusters import listening, ssh_hosts
from tests.clusters.gate import Gate
from tests.clusters.ssh_hosts import Machine
from tests.hosts import REPOSITORY
from tests.integration.conftest import wait_until

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(ssh_hosts.missing() is not None, reason=str(ssh_hosts.missing())),
]

EXAMPLES = ("10.0.0.10", "10.0.0.11", "10.0.0.12")
"""Addresses of the head and its workers in cluster.yaml and on the page."""

HEAD = f"{EXAMPLES[0]}:6379"
DASHBOARD = "127.0.0.1:8265"
PATIENCE_S = 300
BOUND_EVERYWHERE = {
    "gcs_server": "the cluster's state: refuses",
    "raylet": "leases and objects: refuse",
    "ray::": "calls of workers and of the dashboard's agent, which refuse, and its metrics, which anybody can read",
    "python": "calls of a job's driver, which refuses; metrics of autoscaler and dashboard, which anybody can read",
}
"""Programs of Ray that bind to every address and have no switch for it, and what a stranger gets there."""


class Cluster(NamedTuple):
    """The host where `ray up` was called, the head and its workers, and the folder where the caller stands."""

    own: Machine
    machines: list[Machine]
    project: Path
    gate: Gate

    def with_addresses(self, text: str) -> str:
        """With those of our hosts for those of the examples."""
        for example, machine in zip(EXAMPLES, self.machines, strict=True):
            text = re.sub(rf"\b{re.escape(example)}\b", machine.host.address, text)
        return text

    def of_the_page(self, beginning: str) -> str:
        """The command of docs/clusters.md that begins so."""
        lines = (REPOSITORY / "docs" / "clusters.md").read_text().splitlines()
        (command,) = {line.partition("  #")[0].rstrip(" &") for line in lines if line.startswith(beginning)}
        return self.with_addresses(command)

    def run(self, command: str) -> str:
        """What it says, if it ends well."""
        done = self.own.shell(command, self.project, PATIENCE_S)
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("up")
    with ssh_hosts.running(len(EXAMPLES), folder) as (own, machines):
        made = Cluster(own, machines, folder / "project", Gate(folder / "project", folder / "gate"))
        shipped = yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())
        (made.project / "cluster.yaml").write_text(made.with_addresses(yaml.safe_dump(shipped, width=1000)))
        made.run(made.of_the_page("scorefleet lint cluster.yaml && "))
        with (folder / "tunnel").open("wb") as log:
            tunnel = own.popen("bash", "-c", f"exec {made.of_the_page('ssh -i')}", stdout=log, stderr=log)
        yield made
        tunnel.terminate()
        tunnel.wait()


@pytest.fixture(scope="module")
def submitted(cluster: Cluster) -> Iterator["subprocess.Popen[str]"]:
    """A job whose actors wait at the gate, on all machines."""
    command = f"cd {cluster.project} && exec {cluster.of_the_page('scorefleet submit sample')}"
    wait_until(lambda: cluster.own.shell("exec 3<>/dev/tcp/127.0.0.1/8265", cluster.project).returncode == 0, 60)
    wait_until(lambda: _number_of_nodes(cluster) == len(cluster.machines), PATIENCE_S)
    job = cluster.own.popen("bash", "-c", command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        nodes = {"host1", "host2", "host3"}
        wait_until(lambda: {host for host, _, _ in cluster.gate.seen()} == nodes or job.poll() is not None, PATIENCE_S)
        yield job
    finally:
        job.kill()
        job.communicate()


def test_without_the_token_every_port_refuses_and_metrics_alone_can_be_read(cluster, submitted):
    places = {DASHBOARD: "the head's dashboard, by the tunnel"}
    for machine in cluster.machines:
        for listener in listening.of_sockets(_said(machine, "ss", "-Hltnp")):
            if listener.program == "sshd" or listener.address == "127.0.0.1":
                continue
            if listener.address in listening.EVERYWHERE:
                assert listener.program.startswith(tuple(BOUND_EVERYWHERE)), listener
            else:
                assert listener.address == machine.host.address, listener
            places[f"{machine.host.address}:{listener.port}"] = listener.program
    assert {"gcs_server", "raylet", "ray::DashboardA", "ray::RuntimeEnv", "ray::TargetWork"} <= {*places.values()}
    answers = listening.asked(cluster.own.host.popen, places)
    others = {place: answer for place, answer in answers.items() if not listening.refuses_all(answer)}
    assert DASHBOARD not in others
    for place, answer in others.items():
        assert listening.is_metrics(answer), (place, places[place], answer)
    assert len(others) == len(cluster.machines) + 2  # an agent's on each machine, the autoscaler's and the dashboard's


def test_a_job_is_run_by_all_machines_and_said_here_to_its_exit_code(cluster, submitted):
    cluster.gate.open()
    said, _ = submitted.communicate(timeout=PATIENCE_S)
    assert submitted.returncode == 0, said[-3000:]
    assert "exit code 0" in said
    store = next(line.split()[1] for line in said.splitlines() if line.startswith("samples "))
    assert main(["verify", store]) == 0
    assert len({node for _, node, _ in cluster.gate.seen()}) == len(cluster.machines)


def test_the_token_is_in_no_log_and_no_process_list_and_for_nobody_else_to_read(cluster):
    token = (cluster.own.home / ".ray" / "auth_token").read_text()
    for machine in cluster.machines:
        assert token not in _said(machine, "ps", "-eo", "args")
        assert _said(machine, "grep", "-rlF", token, "/tmp/ray", str(machine.home)).split() == [
            f"{machine.home}/.ray/auth_token"
        ]
        assert (machine.home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    assert (cluster.machines[0].home / "ray_bootstrap_key.pem").stat().st_mode & 0o777 == 0o600


def test_ray_down_and_a_stop_of_the_workers_leave_no_process_of_ray(cluster):
    assert all(_of_ray(machine) for machine in cluster.machines)
    for beginning in ("ray down", "for host in"):
        cluster.run(cluster.of_the_page(beginning))
    assert [_of_ray(machine) for machine in cluster.machines] == [[], [], []]


def _number_of_nodes(cluster: Cluster) -> int:
    """How many machines Ray counts that are up."""
    code = f"import ray; ray.init({HEAD!r}, log_to_driver=False); print(sum(node['Alive'] for node in ray.nodes()))"
    command = cluster.with_addresses(f"RAY_AUTH_MODE=token python -c {shlex.quote(code)} 2>/dev/null")
    return int(cluster.machines[0].shell(command, cluster.project, PATIENCE_S).stdout)


def _of_ray(machine: Machine) -> list[str]:
    """What runs on a machine and is Ray's."""
    return [line for line in _said(machine, "ps", "-eo", "args").splitlines() if re.search(r"/ray/|^ray\b", line)]


def _said(machine: Machine, *words: str) -> str:
    """What a program says on a machine."""
    said, _ = machine.host.popen(*words, stdout=subprocess.PIPE).communicate(timeout=60)
    return said
