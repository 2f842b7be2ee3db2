"""Slurm's own programs, those of the PATH: what they know of the user's jobs, and what they say where they fail."""

import os
import re
import subprocess
from typing import NamedTuple

from scorefleet.tasks.errors import ServiceError, UsageError
from scorefleet.tasks.records.redaction import redact

NOT_PASSED = ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Of another Ray: each run of a job starts its own, and Slurm keeps the environment that it is given."""

OF_SLURM = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")
"""Where Slurm is, and who asks; what else begins so speaks of the job that calls sbatch, and not of the one to be."""

UNREACHABLE = "contact|timed out|Socket|connect|Zero Bytes|configuration source"
"""In what sbatch says where the controller does not answer; all else is for the user to mend."""


class Known(NamedTuple):
    """What Slurm says of a job: one of its states, and why it waits; empty where it has forgotten it."""

    state: str
    reason: str


def call(*words: str) -> str:
    """What one of the programs says; where it fails, its last line is the error's."""
    environment = {key: value for key, value in os.environ.items() if _is_passed(key, words[0])}
    try:
        done = subprocess.run(
            words, capture_output=True, encoding="utf-8", errors="replace", check=False, env=environment
        )
    except FileNotFoundError as error:
        raise UsageError(f"there is no {words[0]} here: --to slurm is for a login node of the cluster") from error
    if done.returncode == 0:
        return done.stdout
    line = redact(done.stderr.strip().rpartition("\n")[2])[:200]
    kind = UsageError if words[0] == "sbatch" and not re.search(UNREACHABLE, line) else ServiceError
    raise kind(line if line.startswith(words[0]) else f"{words[0]}: {line}")


def _is_passed(key: str, program: str) -> bool:
    is_of_a_job = program == "sbatch" and key.startswith("SLURM_") and key not in OF_SLURM
    return key not in NOT_PASSED and not is_of_a_job


def known() -> dict[tuple[str, str], Known]:
    """What Slurm knows of this user's jobs, by number and name: those that ended a while ago it has forgotten."""
    listed = call("squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r|%j")
    fields = (line.split("|", 3) for line in listed.splitlines())
    return {(number, name): Known(state, reason) for number, state, reason, name in fields}


def accounted(number: str) -> str:
    """The state of a job that ended, where Slurm keeps accounts."""
    words = ["sacct", "--allocations", "--noheader", "--parsable2", "--format=State", f"--jobs={number}"]
    try:
        return subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace", check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
