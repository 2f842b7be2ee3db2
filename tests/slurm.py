"""A real Slurm on hosts of this machine: a controller, where commands are given, and nodes; no accounts are kept."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import hosts
from tests.hosts import REPOSITORY, Host
from tests.integration.conftest import wait_until
from tests.integration.tiny import clean_environment

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
MOST_RUN_S = 200.0

CONFIGURATION = """ClusterName=tests
SlurmctldHost=host0({controller})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=/run/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
SlurmdTimeout=10
KillWait=10
MinJobAge=10
SchedulerParameters=batch_sched_delay=1,sched_interval=2
{nodes}
PartitionName=main Nodes=ALL Default=YES
"""


def missing() -> str | None:
    """Why there can be no Slurm here."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    if programs:
        return f"{', '.join(programs)} is not installed: apt-get install {' '.join(PACKAGES)}"
    return hosts.missing()


class Slurm:
    """A controller's host and those of its nodes."""

    def __init__(self, folder: Path, controller: Host, nodes: Sequence[Host]):
        self.folder, self.controller, self.nodes = folder, controller, nodes
        self._daemons: list[subprocess.Popen[str]] = []
        for name in ("state", "home"):
            (folder / name).mkdir()
        (folder / "munge.key").touch(0o600)
        (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        listed = "\n".join(
            f"NodeName=host{number} NodeAddr={node.address} CPUs=2 RealMemory=4000"
            for number, node in enumerate(nodes, 1)
        )
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(controller=controller.address, folder=folder, nodes=listed)
        )
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def environment(self) -> dict[str, str]:
        """A user's on the controller's host."""
        own = {"SLURM_CONF": f"{self.folder}/slurm.conf", "HOME": f"{self.folder}/home", "PYTHONPATH": str(REPOSITORY)}
        return clean_environment() | own | {"OMP_NUM_THREADS": "1"}

    def start(self) -> None:
        """All daemons, until every node is idle."""
        for host in (self.controller, *self.nodes):
            assert host.popen("mount", "-t", "tmpfs", "tmpfs", "/run").wait() == 0
            key, socket = f"--key-file={self.folder}/munge.key", "--socket=/run/munge.socket"
            files = ("--pid-file=/run/munged.pid", "--seed-file=/run/munge.seed", "--log-file=/run/munged.log")
            self.keep(host, "munged", "--foreground", "--force", key, socket, *files)
        configuration = ("-D", "-f", f"{self.folder}/slurm.conf")
        self.keep(self.controller, "slurmctld", *configuration)
        for number, node in enumerate(self.nodes, 1):
            self.keep(node, "slurmd", *configuration, "-N", f"host{number}")
        wait_until(
            lambda: self.say("sinfo", "--noheader", "--format=%D %t").split() == [f"{len(self.nodes)}", "idle"], 60
        )

    def keep(self, host: Host, *words: str) -> None:
        """Start a daemon on a host, with which it ends."""
        with (self.folder / f"{words[0]}-{host.space}.log").open("wb") as log:
            plain = ("env", "-u", "RAY_AUTH_TOKEN", f"SLURM_CONF={self.folder}/slurm.conf")
            self._daemons.append(host.popen(*plain, *words, stdout=log, stderr=log))

    def living(self, *names: str) -> list[str]:
        """Those of some programs that run on the nodes."""
        listings = [node.popen("ps", "-e", "-o", "comm=,stat=", stdout=subprocess.PIPE) for node in self.nodes]
        lines = [line.split() for listing in listings for line in listing.communicate(timeout=60)[0].splitlines()]
        return [line[0] for line in lines if line[0] in names and not line[-1].startswith("Z")]

    def kill(self, name: str) -> bool:
        """A program, on the first node that runs it; whether one did."""
        return any(node.popen("pkill", "-KILL", "-x", name).wait() == 0 for node in self.nodes)

    def reap(self) -> None:
        """Daemons end with their hosts."""
        for daemon in self._daemons:
            daemon.wait()

    def popen(self, *words: str, folder: Path = REPOSITORY) -> "subprocess.Popen[str]":
        """Start a program on the controller's host, as its user does."""
        environment = [f"{key}={value}" for key, value in self.environment().items()]
        plain = ("env", "-i", f"--chdir={folder}", *environment)
        return self.controller.popen(*plain, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def say(self, *words: str) -> str:
        """What a program there says, to its end."""
        return "".join(self.popen(*words).communicate(timeout=60))

    def scorefleet(self, *words: str, folder: Path) -> "subprocess.Popen[str]":
        """Start a command of ours there."""
        command = (sys.executable, "-m", "scorefleet", *words)
        return self.popen(*command, folder=folder)

    def finish(self, *words: str, folder: Path) -> tuple[int, str, str]:
        """A command of ours to its end: its exit code, what it said, and what it said of that."""
        command = self.scorefleet(*words, folder=folder)
        said = command.communicate(timeout=MOST_RUN_S)
        return command.returncode, *said


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """A controller and two nodes of two processors."""
    with hosts.running(3) as (controller, *nodes):
        made = Slurm(folder, controller, nodes)
        made.start()
        yield made
    made.reap()
