"""Plant each bug in a copy of the repository, run the tests that must find it, print which test did."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.mutant import Mutant
from tests.mutants.mutants import MUTANTS

REPOSITORY = Path(__file__).parents[2]
COPIED = ("scorefleet", "tasks", "pipelines", "tests", "deploy", "docs", "cluster.yaml", "pyproject.toml")
FAILED = 1  # pytest's exit code when tests ran and one failed; another code means that they could not run


def main() -> int:
    """0 when every mutant is killed by tests that pass without it; arguments choose mutants by part of a name."""
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(part in mutant.name for part in sys.argv[1:])]
    tests = sorted({test for mutant in chosen for test in mutant.killers})
    healthy = run_tests(tests)
    if healthy.returncode != 0:
        print(f"{healthy.stdout}{healthy.stderr}\nthe tests fail without any mutant: mend them first")
        return 1
    width = max(len(mutant.name) for mutant in chosen)
    print(f"{'mutant':{width}} | killed by")
    num_killed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the work is in other processes
        for mutant, killer in zip(chosen, pool.map(killed_by, chosen), strict=True):
            print(f"{mutant.name:{width}} | {killer or 'SURVIVED'}", flush=True)
            num_killed += killer is not None
    print(f"{num_killed} of {len(chosen)} mutants killed")
    return int(num_killed < len(chosen))


def killed_by(mutant: Mutant) -> str | None:
    """The first test that fails with the bug planted, None when all pass."""
    done = run_tests(list(mutant.killers), mutant)
    if done.returncode == 0:
        return None
    found = re.search(r"^FAILED (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode != FAILED or found is None:
        raise RuntimeError(f"{mutant.name}: the tests did not run\n{done.stdout}{done.stderr}")
    return found[1]


def run_tests(tests: list[str], mutant: Mutant | None = None) -> subprocess.CompletedProcess[str]:
    """pytest up to the first failure, on a copy of the repository and not on what is installed."""
    with tempfile.TemporaryDirectory() as folder:
        copy_to(Path(folder))
        if mutant:
            plant(mutant, Path(folder) / mutant.file)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def copy_to(folder: Path) -> None:
    """What the tests need, without what is compiled of other code."""
    for name in COPIED:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(
                REPOSITORY / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(REPOSITORY / name, folder / name)


def plant(mutant: Mutant, path: Path) -> None:
    """Replace the text, which must be there exactly once, or the mutant would not be the one that is named."""
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: the text to replace is {text.count(mutant.old)} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new))


if __name__ == "__main__":
    sys.exit(main())
