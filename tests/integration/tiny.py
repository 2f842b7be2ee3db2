"""The smallest run of the whole pipeline, through the command line, in processes of their own."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SETTINGS = {
    "prepare.data": "sklearn:wine",
    "name": "tiny",
    "train.num_steps": "120",
    "train.width": "16",
    "train.checkpoint_every": "40",
    "sample.num_levels": "6",
    "sample.steps_per_level": "3",
    "sample.num_chains": "60",
    "sample.block_size": "16",
    "sample.num_control_chains": "64",
    "sample.num_draws": "2",
    "sample.exchange_rounds": "4",
    "normalise.num_populations": "4",
    "normalise.num_particles": "32",
}


def command(name: str, root: Path, **changes: str) -> list[str]:
    """The words of a command; a key with two underscores stands for one with a dot."""
    chosen = {key: value for key, value in SETTINGS.items() if name == "run" or key.startswith("sample")}
    chosen |= {key.replace("__", "."): value for key, value in changes.items()}
    words = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    return [sys.executable, "-m", "scorefleet", name, "--root", str(root), *words]


def finish(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(words, capture_output=True, text=True, check=False, env=clean_environment())


def clean_environment() -> dict[str, str]:
    """This process's environment without what a test runner or another run has set for itself."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_", "SCOREFLEET_"))}


def shards(root: Path) -> dict[str, str]:
    """The sha256 of every shard and every population's log Z below a root, by its place."""
    patterns = ("sample/*/*/shards/*.parquet", "normalise/*/population-*.json")
    paths = sorted(path for pattern in patterns for path in root.glob(pattern))
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def summary_of(path: Path) -> dict[str, Any]:
    """The summary that a command wrote."""
    return json.loads(path.read_text())
