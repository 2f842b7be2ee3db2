"""Runs named steps in order, skips what is already published, resumes what is not.

A step's key is the sha256 of its name, the code it runs, its slice of the configuration, what it reads from
outside, and the keys of the steps before it. Its files live in `<root>/<step>/<key>/`, and `manifest.json` there is
written last, by put-if-absent: present means done, absent means run it (again), which must end in the same files.
Before a step reads what another has published, that is compared with the digests in the manifest.
"""

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any

from scorefleet.tasks.config import commands
from scorefleet.tasks.dag import published
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.fleet.memory import PeakMemory
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.records.provenance import code_digest
from scorefleet.tasks.store.objects import open_store
from scorefleet.tasks.store.places import folder_of, place_of


def imported(name: str) -> Callable[..., Any]:
    """The function `module:name`, whose module is imported when it is called: what is done need not wait for torch."""
    module, _, function = name.partition(":")

    def run(*given: Any) -> Any:
        return getattr(import_module(module), function)(*given)

    run.__module__ = module
    return run


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
    scratch: str | None = None
    """A folder below the step's own that no later step reads."""


@dataclass(frozen=True)
class Outcome:
    """A finished step: its artifact, the configuration that it chose, and what it cost when it ran."""

    artifact: Any
    resolved: Mapping[str, Any]
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
        return (self.folder(name) / published.NAME).exists()

    def check(self, names: Iterable[str]) -> None:
        """Raise what any of these steps is known to refuse, before the first of them runs."""
        wanted = set(names)
        for step in self.steps:
            if step.check and step.name in wanted:
                step.check(step.config)

    def load(self) -> None:
        """Import what will run, while no other thread imports: two that meet in a circle of imports get half of it."""
        for step in self.steps:
            if not self.is_done(step.name):
                import_module(step.run.__module__)

    def forget(self, start: str | None) -> None:
        """Remove what `start` and the steps after it have published, or everything when it is None."""
        names = list(self.keys)
        for name in names[names.index(start) if start else 0 :]:
            try:
                (self.folder(name) / published.NAME).unlink(missing_ok=True)
                shutil.rmtree(self.folder(name))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"{error.filename} cannot be removed ({error.strerror}): remove it") from error

    def execute(self, name: str, artifacts: Mapping[str, Any], journal: Journal) -> Outcome:
        """Run one step, or read back what it has published."""
        step = self._step(name)
        was_done = self.is_done(name)
        if not was_done:
            for need in step.needs:
                self.manifest(need).require_intact()
            self._run_and_publish(step, [artifacts[need] for need in step.needs], journal)
        self.require_intact(name)
        found = self.manifest(name)
        made, document = found.artifact(step.artifact), found.document
        resolved = document.get("resolved", {})
        return Outcome(made, resolved, document["seconds"], document["peak_bytes"], was_done)

    def require_intact(self, name: str) -> None:
        """Refuse a done step whose files are not those that it published, or not of the steps before it."""
        found = self.manifest(name)
        found.require_intact()
        found.require_made_from({need: self.manifest(need) for need in self._step(name).needs if self.is_done(need)})

    def manifest(self, name: str) -> published.Published:
        """Return the manifest of a step; `StorageError` with the remedy when it is damaged."""
        try:
            return published.Published(published.read(self.folder(name)), self.folder(name), self.root)
        except StorageError as error:
            raise StorageError(f"{error}; rerun with --from {name}") from error

    def _step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def _run_and_publish(self, step: Step, needs: list[Any], journal: Journal) -> None:
        folder = self.folder(step.name)
        open_store(str(folder))
        run, key = self.run, self.keys[step.name]
        place = place_of(step.place) if step.place else None
        reads = self.reads[step.name]
        context = Context(key, folder, run.name, run.seed, self.root, run.cluster, journal, place, reads)
        start = time.monotonic()
        with PeakMemory() as memory:
            artifact = step.run(step.config, context, *needs)
        seconds, peak_bytes = round(time.monotonic() - start, 3), memory.peak_bytes
        left = published.manifest_of(folder, self.root, artifact, place, step.scratch)
        made_from = {need: self.manifest(need).digest for need in step.needs}
        cost = {"seconds": seconds, "peak_bytes": peak_bytes}
        journal.sync()
        published.publish(
            folder, {"step": step.name, "key": key, "needs": made_from, "resolved": context.resolved, **left, **cost}
        )
