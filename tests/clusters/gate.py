"""A user's density that waits: each process that moves a block of chains says so, and goes on when the gate is open."""

from pathlib import Path

import yaml

BLOCK_SIZE = 24
"""Only blocks of chains are that many points, so that checks and warm-up go on."""

NUM_BLOCKS, NUM_DRAWS = 12, 20
SETTINGS = {
    "target": "posterior:log_density",
    "dim": 2,
    "num_chains": NUM_BLOCKS * BLOCK_SIZE,
    "num_draws": NUM_DRAWS,
    "burn_in": 50,
    "block_size": BLOCK_SIZE,
}
DENSITY = """\
import os
import socket
import time
from pathlib import Path

import ray

GATE = Path({gate!r})


def log_density(x):
    if len(x) == {block_size}:
        node = ray.get_runtime_context().get_node_id()
        (GATE / f"{{socket.gethostname()}} {{node}} {{os.getpid()}}").touch()
        while not (GATE / "open").exists():
            time.sleep(0.1)
    a, b = x.unbind(1)
    return -0.5 * (a**2 + (b - 0.8 * a) ** 2 / (1 - 0.8**2))
"""


class Gate:
    """The folder `project` holds the density and its config.yaml, and `gate` who waits."""

    def __init__(self, project: Path, gate: Path):
        self._gate = gate
        project.mkdir(exist_ok=True)
        gate.mkdir()
        (project / "posterior.py").write_text(DENSITY.format(gate=str(gate), block_size=BLOCK_SIZE))
        (project / "config.yaml").write_text(yaml.safe_dump(SETTINGS))

    def seen(self) -> list[tuple[str, str, int]]:
        """Host, Ray node and process of each that has waited here."""
        words = [path.name.split() for path in self._gate.iterdir() if path.name != "open"]
        return [(host, node, int(process)) for host, node, process in words]

    def open(self) -> None:
        (self._gate / "open").touch()
