"""Runs named steps in order, skips what is already published, resumes what is not.

A step's key is the sha256 of its name, the code it runs, its slice of the configuration, what it reads from
outside, and the keys of the steps before it. Its files live in `<root>/<step>/<key>/`, and `manifest.json` there is
written last, by put-if-absent: present means done, absent means run it (again), which must end in the same files.
"""

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from tasks import commands
from tasks.context import Context
from tasks.errors import StorageError
from tasks.journal import Journal
from tasks.memory import PeakMemory
from tasks.provenance import code_digest
from tasks.store.objects import folder_of, open_store, place_of, put_if_absent


@dataclass(frozen=True)
class Step:
    """`run(config, context, *artifacts of needs) -> artifact`; `reads(config)` digests what it reads from outside."""

    name: str
    run: Callable[..., Any]
    config: Any
    artifact: type
    needs: tuple[str, ...] = ()
    reads: Callable[[Any], str] | None = None
    place: str | None = None
    """Where the step leaves its draws: a folder or `s3://bucket/path`; in its own folder when None."""
    check: Callable[[Any], None] | None = None
    """`check(config)` raises the UserError that `run` would raise after all the work; it writes nothing."""


@dataclass(frozen=True)
class Outcome:
    """A finished step: its artifact, and what it cost when it ran."""

    artifact: Any
    seconds: float
    peak_bytes: int
    was_done: bool


def reads_of(steps: Sequence[Step]) -> dict[str, str | None]:
    """The digest of what each step reads from outside."""
    return {step.name: step.reads(step.config) if step.reads else None for step in steps}


def keys_of(steps: Sequence[Step], run: commands.Run, reads: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The key of every step, in an order in which they can run; `reads` are those of `reads_of`."""
    reads = reads_of(steps) if reads is None else reads
    by_name = {step.name: step for step in steps}
    order = TopologicalSorter({step.name: step.needs for step in steps}).static_order()
    keys: dict[str, str] = {}
    for name in order:
        step = by_name[name]
        identity = {
            "step": name,
            "code": code_digest(step.run.__module__),
            "config": dataclasses.asdict(step.config),
            "name": run.name,
            "seed": run.seed,
            "reads": reads[name],
            "place": place_of(step.place) if step.place else None,
            "needs": [keys[need] for need in step.needs],
        }
        keys[name] = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return keys


@dataclass(frozen=True)
class Pipeline:
    """Steps with the run they belong to, and where their keys put them."""

    steps: Sequence[Step]
    run: commands.Run
    root: Path
    keys: Mapping[str, str]
    reads: Mapping[str, str | None]

    @classmethod
    def of(cls, steps: Sequence[Step], run: commands.Run) -> "Pipeline":
        """Find every key; this reads what the steps read from outside, and refuses what is not there."""
        reads = reads_of(steps)
        return cls(steps, run, folder_of(run.root), keys_of(steps, run, reads), reads)

    @property
    def key(self) -> str:
        """Names the whole run: the key of its last steps."""
        return hashlib.sha256("".join(self.keys.values()).encode()).hexdigest()

    def folder(self, name: str) -> Path:
        """Where a step keeps its files."""
        return self.root / name / self.keys[name][:16]

    def is_done(self, name: str) -> bool:
        """Whether a step has published."""
        return (self.folder(name) / "manifest.json").exists()

    def check(self, names: Iterable[str]) -> None:
        """Raise what any of these steps is known to refuse, before the first of them runs."""
        wanted = set(names)
        for step in self.steps:
            if step.check and step.name in wanted:
                step.check(step.config)

    def forget(self, start: str | None) -> None:
        """Remove what `start` and the steps after it have published, or everything when it is None."""
        names = list(self.keys)
        for name in names[names.index(start) if start else 0 :]:
            (self.folder(name) / "manifest.json").unlink(missing_ok=True)
            try:
                shutil.rmtree(self.folder(name))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"{error.filename} cannot be removed ({error.strerror}): remove it") from error

    def execute(self, name: str, artifacts: Mapping[str, Any], journal: Journal) -> Outcome:
        """Run one step, or read back what it has published."""
        step = next(step for step in self.steps if step.name == name)
        if not self.is_done(name):
            self._run_and_publish(step, [artifacts[need] for need in step.needs], journal)
            return self._published(step, was_done=False)
        return self._published(step, was_done=True)

    def _run_and_publish(self, step: Step, needs: list[Any], journal: Journal) -> None:
        folder = self.folder(step.name)
        store = open_store(str(folder))
        run, key = self.run, self.keys[step.name]
        place = place_of(step.place) if step.place else None
        reads = self.reads[step.name]
        context = Context(key, folder, run.name, run.seed, self.root, run.cluster, journal, place, reads)
        start = time.monotonic()
        with PeakMemory() as memory:
            artifact = step.run(step.config, context, *needs)
        manifest = {
            "step": step.name,
            "key": key,
            "artifact": dataclasses.asdict(artifact),
            "seconds": round(time.monotonic() - start, 3),
            "peak_bytes": memory.peak_bytes,
        }
        journal.sync()
        put_if_absent(store, "manifest.json", json.dumps(manifest, indent=2).encode())

    def _published(self, step: Step, was_done: bool) -> Outcome:
        manifest = json.loads((self.folder(step.name) / "manifest.json").read_bytes())
        fields = {
            key: tuple(value) if isinstance(value, list) else value for key, value in manifest["artifact"].items()
        }
        return Outcome(step.artifact(**fields), manifest["seconds"], manifest["peak_bytes"], was_done)
