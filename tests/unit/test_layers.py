"""The mathematics, the chains and the store stand without Ray and MLflow, and no import runs upward."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import scorefleet

BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ray", "mlflow"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
import importlib
importlib.import_module(sys.argv[1])
"""

ROOMS = (
    "retraining", "registry", "reports", "audit", "judging", "sampling", "training", "user_code", "data", "dag",
    "fleet", "ebm", "mcmc", "records", "store", "config",
)  # fmt: skip
"""From the top: each imports from those after it alone, and all from the files that stand in no room."""

FOLDER = Path(scorefleet.__file__).parent / "tasks"
MODULES = sorted(
    ".".join(path.relative_to(FOLDER.parents[1]).with_suffix("").parts)
    for layer in ("ebm", "mcmc", "store", "data")
    for path in (FOLDER / layer).rglob("*.py")
)


def _import(module):
    return subprocess.run([sys.executable, "-c", BLOCKED, module], capture_output=True, text=True, check=False)


def test_every_module_of_the_inner_layers_imports_without_ray_and_mlflow():
    listing = ",".join(MODULES)
    loop = BLOCKED.replace(
        "importlib.import_module(sys.argv[1])", "[importlib.import_module(m) for m in sys.argv[1].split(',')]"
    )
    done = subprocess.run([sys.executable, "-c", loop, listing], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rooms_import_from_those_below_them_alone():
    found = {(room, other) for room in ROOMS for path in (FOLDER / room).rglob("*.py") for other in _rooms_in(path)}
    assert {path.relative_to(FOLDER).parts[0] for path in FOLDER.rglob("*/*.py")} == set(ROOMS)
    assert len(found) > 50
    assert [pair for pair in found if ROOMS.index(pair[0]) > ROOMS.index(pair[1])] == []
    assert {room for path in FOLDER.glob("*.py") for room in _rooms_in(path)} == set()


def _rooms_in(path):
    """The rooms that a file imports from."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scorefleet.tasks"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (parts[2] for parts in (name.split(".") for name in names) if parts[2] in ROOMS)


def test_the_block_blocks():
    assert "ray is blocked" in _import("scorefleet.tasks.fleet.cluster").stderr


@pytest.mark.parametrize("module", ["scorefleet.tasks.config", "scorefleet.pipelines.cli"])
def test_importing_makes_no_file(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=tmp_path,
        check=False,
        env={"PYTHONPATH": str(FOLDER.parents[1]), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
