"""A user's folder on a cluster with Slurm.

Chains can be held up after a run's first commit, so that what is done then is done in their midst.
"""

import hashlib
import json
import subprocess
from pathlib import Path

from tests.integration.conftest import wait_until
from tests.slurm import Slurm

DENSITY = """import socket, time
from pathlib import Path

CONTROL = Path({control!r})

def log_density(x):
    if len(x) == 16:  # a block of chains, and no check or warm-up
        (CONTROL / socket.gethostname()).touch()
        while list((CONTROL / "hold").glob("runs/sample/*/draws/commits/*.json")):
            time.sleep(0.05)
    return -0.5 * (x**2).sum(1)
"""
SETTINGS = "target: posterior:log_density\ndim: 2\nnum_chains: 96\nblock_size: 16\nnum_draws: 50\nburn_in: 10\n"
SUBMIT = ("submit", "sample", "config.yaml", "--to")
PATIENCE_S = 120


class Project:
    """A user's folder on the file system that all hosts share, and what is submitted from there."""

    def __init__(self, cluster: Slurm, name: str):
        self.cluster, self.path = cluster, cluster.folder / name
        self.path.mkdir()
        self.control = cluster.folder / "control"
        self.control.mkdir(exist_ok=True)
        (self.path / "posterior.py").write_text(DENSITY.format(control=str(self.control)))
        (self.path / "config.yaml").write_text(SETTINGS)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return self.cluster.scorefleet(*words, folder=self.path)

    def finish(self, *words: str) -> tuple[int, str, str]:
        return self.end(self.start(*words))

    def end(self, command: "subprocess.Popen[str]") -> tuple[int, str, str]:
        """Its exit code, what it said, and what it said of that."""
        said = command.communicate(timeout=PATIENCE_S)
        return command.returncode, *said

    def commits(self) -> int:
        return len(list(self.path.glob("runs/sample/*/draws/commits/*.json")))

    def shards(self) -> dict[str, str]:
        """The sha256 of every shard, by its name."""
        paths = self.path.glob("runs/sample/*/draws/shards/*.parquet")
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    def job(self, attempt: int = 1) -> Path:
        """The folder of the job, once it is there."""
        orders = (self.cluster.folder / "home/.local/share/scorefleet/slurm").glob("scorefleet-*/order.json")
        names = sorted(path.parent for path in orders if f"{self.path}/" in path.read_text())
        return names[attempt - 1]

    def number(self, attempt: int = 1) -> str:
        """Slurm's own for it."""
        return json.loads((self.job(attempt) / "submitted.json").read_text())["slurm_job"]

    def begin_again(self) -> None:
        """Have its job begin as soon as Slurm has requeued it, which lets it wait for two minutes otherwise."""
        listed = ("squeue", "--noheader", "--format=%T", "--name", self.job().name)
        wait_until(lambda: self.cluster.say(*listed).split() == ["PENDING"], PATIENCE_S)
        self.cluster.say("scontrol", "update", f"JobId={self.number()}", "StartTime=now")

    def end_of(self, run: int, attempt: int = 1) -> int | None:
        """The exit code that a run left."""
        file = self.job(attempt) / f"run-{run}/end.json"
        return json.loads(file.read_text())["exit_code"] if file.exists() else None
