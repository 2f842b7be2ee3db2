"""What a Slurm job runs on its first node: Ray over all its nodes, the command beside the head, and what it returned.

`python -m scorefleet.pipelines.launchers.slurm_job FOLDER`. Ray's token is new for each run, in a file that only its
owner reads.
"""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from scorefleet.pipelines.launchers.slurm_folder import JobFolder
from scorefleet.pipelines.launchers.slurm_node import LOOPBACK, PATIENCE_S, Told, end, free_port, listen, own_address
from scorefleet.pipelines.launchers.slurm_programs import call
from scorefleet.tasks import console
from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.fleet.secure import ON_LOOPBACK, SETTINGS

TERMINATED = 143
GRACE_S = 40.0
"""For the command to stop cleanly; Slurm's own is 60 s before the time limit (`--signal`)."""

LEAVE_S, LOOK_S = 20.0, 1.0
LAST_LINES = 20
STEP = ("srun", "--overlap", "--nodes=1", "--ntasks=1", "--cpu-bind=none")
"""Ray shares the job's own processors with the command."""


def main(path: Path) -> int:
    """Run the order of a folder; what its command returned."""
    folder = JobFolder(path)
    if not folder.claim(os.environ["SLURM_JOB_ID"]):
        console.output(f"Slurm job {folder.slurm_job()} runs this already")
        return 0
    number = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    listen()
    folder.begin(number)
    was_told, code = False, TERMINATED
    with (folder.folder_of(number) / "output").open("ab", buffering=0) as output:
        try:
            nodes = call("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).split()
            output.write(f"Slurm job {os.environ['SLURM_JOB_ID']}, run {number}, on {', '.join(nodes)}\n".encode())
            with _ray(nodes, folder, number) as environment:
                code, was_told = _run(folder, environment, output.fileno())
                folder.end(number, code, was_told)  # before Ray ends, which takes a while
        except Told:
            folder.end(number, TERMINATED, True)
        except ServiceError as error:
            code = error.exit_code
            output.write(_last_lines(folder.folder_of(number) / "ray.log"))
            output.write(f"scorefleet: {error}\n".encode())
            folder.end(number, code, False)
    return code


def _run(folder: JobFolder, environment: Mapping[str, str], output: int) -> tuple[int, bool]:
    """The command to its end: what it returned, and whether it ended since Slurm told it to."""
    words = [sys.executable, *folder.order()["words"]]
    command = subprocess.Popen(
        words, cwd=folder.files, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )
    try:
        code = command.wait()
    except Told:
        code = end(command, GRACE_S)
        return code, code != 0
    return (code if code >= 0 else 128 - code), False


@contextmanager
def _ray(nodes: Sequence[str], folder: JobFolder, number: int) -> Iterator[dict[str, str]]:
    """Ray on every node, a step each; the environment in which a command finds it."""
    run = folder.folder_of(number)
    token = run / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32), encoding="utf-8")
    host = own_address(_address_of(nodes[1])) if len(nodes) > 1 else LOOPBACK
    address = f"{host}:{free_port(host)}"
    environment = {key: value for key, value in os.environ.items() if key not in ON_LOOPBACK}  # sbatch hands on all
    environment |= SETTINGS | ({} if len(nodes) > 1 else ON_LOOPBACK)
    environment |= {"RAY_ADDRESS": address, "RAY_AUTH_TOKEN_PATH": str(token), "PYTHONPATH": _path(folder.files)}
    environment.pop("RAY_AUTH_TOKEN", None)
    steps: list[subprocess.Popen[bytes]] = []
    with (run / "ray.log").open("ab") as log:

        def begin(*words: str, on: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
            module = [*on, sys.executable, "-m", "scorefleet.pipelines.launchers.slurm_node", *words]
            return subprocess.Popen(
                module, cwd=folder.files, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )

        try:
            for place, node in enumerate(nodes):
                steps.append(begin("start", "worker" if place else "head", address, on=(*STEP, f"--nodelist={node}")))
            _await(partial(begin, "await", str(len(nodes))), steps, run / "ray.log")
            yield environment
        finally:
            _leave(steps)
            token.unlink()


def _last_lines(log: Path) -> bytes:
    """What Ray said before it did not start, so that one need not look for it."""
    return b"".join(log.read_bytes().splitlines(keepends=True)[-LAST_LINES:]) if log.exists() else b""


def _leave(steps: Sequence["subprocess.Popen[bytes]"]) -> None:
    """A step's Ray ends when its input does; srun would answer SIGTERM by killing it."""
    for step in steps:
        assert step.stdin is not None
        step.stdin.close()
    for step in steps:
        try:
            step.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            end(step, LEAVE_S)


def _await(
    begin: "Callable[[], subprocess.Popen[bytes]]", steps: Sequence["subprocess.Popen[bytes]"], log: Path
) -> None:
    """Until all nodes have joined, as what is begun says by ending well; it may ask too early, and is begun again."""
    joined, late = begin(), time.monotonic() + PATIENCE_S
    try:
        while joined.poll() != 0:
            if any(step.poll() is not None for step in steps) or time.monotonic() > late:
                raise ServiceError(f"Ray did not start on all nodes ({log} says why): submit the same again")
            if joined.returncode is not None:
                joined = begin()
            time.sleep(LOOK_S)
    finally:
        end(joined, LEAVE_S)


def _address_of(node: str) -> str:
    """Where Slurm itself reaches another node."""
    found = re.search(r"\bNodeAddr=(\S+)", call("scontrol", "show", "node", node))
    try:
        return socket.gethostbyname(found[1] if found else node)
    except OSError as error:
        raise ServiceError(f"{socket.gethostname()} does not know the address of {node} ({error})") from error


def _path(files: Path) -> str:
    """Where workers find what was sent before anything else."""
    return os.pathsep.join(filter(None, (str(files), os.environ.get("PYTHONPATH"))))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
