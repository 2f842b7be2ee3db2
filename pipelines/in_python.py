"""scorefleet from Python: the same steps as the commands, in this process and without Ray unless told otherwise.

Whatever a command says in one line is raised here: `UsageError`, `DataError`, `StorageError`, `ServiceError`.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from scorefleet.pipelines import preflight
from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.dag.dag import Pipeline, Step
from scorefleet.tasks.data import frames
from scorefleet.tasks.errors import DataError, UsageError
from scorefleet.tasks.fleet.secure import secure_ray
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.places import folder_of
from scorefleet.tasks.store.temporary import Temporary

if TYPE_CHECKING:
    from scorefleet.tasks.registry.learned import LearnedDensity
    from scorefleet.tasks.reports.draws import Draws

NUMBERS = "iufb"
"""Kinds of numpy's numbers."""


def sample(
    log_density: Callable[..., Any] | str,
    dim: int | Mapping[str, Sequence[int]] = 0,
    *,
    support: str | Mapping[str, str] = "real",
    names: Sequence[str] = (),
    data: Any = None,
    init: Any = None,
    seed: int = 0,
    root: str | Path | None = None,
    address: str | None = None,
    **chains: Any,
) -> "Draws":
    """Draw from a log density of your own, and judge the draws; the same draws as `scorefleet sample`.

    Args:
        log_density: a torch function of points [chain, dim] in float64, or of named blocks [chain, *shape] by their
            names, and of `data` where that is given -> log densities [chain] in nats, up to a constant, differentiable,
            each row by itself; or MODULE:FUNCTION.
        dim: coordinates of a point, or the shape of each named block, as in `{"beta": [8], "tau": []}`.
        support: where they live, in the words of `scorefleet sample --help`: of all coordinates, or of each block.
        names: what the coordinates are called, where there are no blocks.
        data: what the function gets as `data`: a file, a DataFrame or mapping of columns (a dict of tensors then), or
            an array (a tensor).
        init: points [n, dim] where chains start, or a file of them.
        root: a folder that keeps what was done, so that the same call does nothing; a temporary one when not given.
        address: a Ray cluster that the chains run on, as `cluster.address`; the density must be MODULE:FUNCTION then.
        chains: `num_chains`, `num_draws`, `num_levels`, `log_z` and the other keys of `scorefleet sample`.
    """
    from scorefleet.pipelines import sample_target as pipeline
    from scorefleet.tasks.reports.draws import Draws
    from scorefleet.tasks.user_code import density, session

    folder, kept = _place(root)
    if address is not None:
        _require_sent(log_density, address)
        secure_ray(is_own=False)
    with session.as_it_was():
        target = log_density if isinstance(log_density, str) else density.give(log_density)
        settings = _checked(
            commands.SampleTarget,
            chains,
            register=config.Register(),
            target=target,
            dim=dim if isinstance(dim, int) else 0,
            support=_support(dim, support),
            names=tuple(names),
            data=None if data is None else _file_of(data, folder / "given"),
            init=None if init is None else _points_of(init, folder / "given"),
            seed=seed,
            root=str(folder),
            cluster=_checked(config.Cluster, {}, address=address, num_actors=None if address else 0),
        )
        done = _run(pipeline.steps(settings)[:2], pipeline.as_run(settings))
    return Draws(open_store(done["sample"].uri), done["evaluate"], kept)


def fit(
    data: Any,
    *,
    steps: int | None = None,
    seed: int = 0,
    root: str | Path | None = None,
    **train: Any,
) -> "LearnedDensity":
    """Train an energy on rows and find its log Z: the same model as `scorefleet run` with one worker.

    Args:
        data: a file, a folder, a bundled set such as `sklearn:digits`, a DataFrame, a mapping of columns, or an array.
        steps: steps of the optimiser; chosen from the data when not given.
        root: a folder that keeps what was done; a temporary one, as long as the model is held, when not given.
        train: `width`, `learning_rate` and the other keys of `train.` in `scorefleet run --help`.
    """
    from scorefleet.pipelines import train_and_sample as pipeline
    from scorefleet.tasks.registry.learned import of_folder
    from scorefleet.tasks.registry.mlflow_model import FILES, NORMALISER
    from scorefleet.tasks.user_code import session

    folder, kept = _place(root)
    run = _checked(
        commands.Run,
        {},
        prepare=config.Prepare(_file_of(data, folder / "given", is_table=True)),
        train=_checked(config.Train, train, num_workers=1, num_steps=steps),
        seed=seed,
        root=str(folder),
        cluster=config.Cluster(num_actors=0),
    )
    wanted = ("prepare", "train", "normalise")
    with session.as_it_was():
        done = _run([step for step in pipeline.steps(run) if step.name in wanted], run)
    model = folder / "fitted" / done["train"].digest[:16]
    files = {name: (Path(done["train"].uri) / name).read_bytes() for name in FILES}
    if "normalise" in done:
        files[NORMALISER] = done["normalise"].to_json()
    model.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        objects.replace(model, name, content)
    return dataclasses.replace(of_folder(model), kept=kept)


@dataclass(frozen=True)
class Finished:
    """How a run of the whole pipeline ended: `summary` is what `--summary` writes."""

    summary: Mapping[str, Any]

    @property
    def is_converged(self) -> bool:
        """Whether every check of the chains passed."""
        return self.summary["is_converged"]

    @property
    def store(self) -> SampleStore:
        """What was drawn."""
        return open_store(self.summary["samples"])

    @property
    def report(self) -> Path:
        """The page."""
        return Path(self.summary["report"])


def run(configuration: str | Path, changes: Mapping[str, Any] | None = None) -> Finished:
    """Run the whole pipeline as `scorefleet run CONFIG.yaml` does, with Ray unless `cluster.num_actors` is 0; `changes`
    are keys by their dotted names, as in `{"train.num_steps": 2000}`.
    """
    from scorefleet.pipelines import runner, train_and_sample
    from scorefleet.pipelines.reading import read

    words = [f"--{key}={_word(value)}" for key, value in (changes or {}).items()]
    given = read("run", commands.Run, [str(configuration), *words])
    secure_ray(is_own=given.settings.cluster.has_own_ray)
    result = runner.conduct(train_and_sample.steps(given.settings), given.settings, given.flow)
    assert result is not None  # as it would be of a plan
    return Finished(runner.summary_of(result))


def open_store(uri: str | Path) -> SampleStore:
    """Open a store of draws, a folder or `s3://BUCKET/PATH`, to read it. Raises `StorageError` where there is none."""
    store = SampleStore(str(uri), writable=False)
    store.description()
    return store


def _run(steps: Sequence[Step], run: commands.Run) -> dict[str, Any]:
    """What each step leaves."""
    pipeline = Pipeline.of(steps, run)
    pipeline.check(name for name in pipeline.keys if not pipeline.is_done(name))
    journal, done = Journal(pipeline.root / "journal" / f"{pipeline.key[:16]}.jsonl"), dict[str, Any]()
    for name in pipeline.keys:
        done[name] = pipeline.execute(name, done, journal).artifact
    return done


def _place(root: str | Path | None) -> tuple[Path, Temporary | None]:
    """The folder that keeps what is done, and what it goes with where it is temporary."""
    kept = Temporary() if root is None else None
    folder = kept.path if kept else folder_of(str(root))
    preflight.require_writable(str(folder))
    return folder, kept


def _checked(kind: type[Any], given: Mapping[str, Any], **fixed: Any) -> Any:
    """A configuration; `UsageError` for keys that it has not and values that they cannot have."""
    known = kind.__dataclass_fields__
    for key in given:
        if key not in known or key in fixed:
            free = ", ".join(name for name in known if name not in fixed)
            raise UsageError(f"{key!r} is no setting here: there are {free}")
    try:
        return kind(**given, **fixed)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error


def _support(dim: int | Mapping[str, Sequence[int]], support: str | Mapping[str, str]) -> str:
    """The words of all blocks."""
    if isinstance(dim, int):
        return support if isinstance(support, str) else ", ".join(f"{name}: {word}" for name, word in support.items())
    words = dict.fromkeys(dim, support) if isinstance(support, str) else dict.fromkeys(dim, "real") | dict(support)
    unknown = words.keys() - dim.keys()
    if unknown:
        raise UsageError(f"support names {sorted(unknown)[0]!r}, but the blocks are {', '.join(dim)}")
    shapes = {name: f"[{','.join(map(str, shape))}]" if shape else "" for name, shape in dim.items()}
    return ", ".join(f"{name}{shapes[name]}: {word}" for name, word in words.items())


def _require_sent(log_density: Callable[..., Any] | str, address: str) -> None:
    if not isinstance(log_density, str):
        raise UsageError(
            f"a function of this session cannot be sent to {address}: write it in a file of the working folder, and "
            "give it as 'MODULE:FUNCTION'"
        )


def _file_of(data: Any, folder: Path, is_table: bool = False) -> str:
    """The file that holds data: itself, or one that is named by what is in it. A mapping is one of arrays of numbers,
    of any lengths, where it can be and need not be a table.
    """
    if isinstance(data, str | Path):
        return str(data)
    if isinstance(data, Mapping) and not is_table:
        arrays = {name: frames.array(value, f"data[{name!r}]") for name, value in data.items()}
        if all(array.dtype.kind in NUMBERS for array in arrays.values()):
            return _kept(folder, _packed(np.savez, **arrays), ".npz")
    given = frames.held(data)
    if isinstance(given, np.ndarray):
        return _array_file(given, folder, "data")
    sink = io.BytesIO()
    pq.write_table(given.replace_schema_metadata(None), sink)
    return _kept(folder, sink.getvalue(), ".parquet")


def _points_of(init: Any, folder: Path) -> str:
    return str(init) if isinstance(init, str | Path) else _array_file(frames.array(init, "init"), folder, "init")


def _array_file(array: np.ndarray, folder: Path, what: str) -> str:
    if array.dtype.kind not in NUMBERS:
        raise DataError(f"{what} is an array of {array.dtype}, but must hold numbers")
    return _kept(folder, _packed(np.save, arr=array, allow_pickle=False), ".npy")


def _packed(write: Callable[..., None], **given: Any) -> bytes:
    sink = io.BytesIO()
    write(sink, **given)
    return sink.getvalue()


def _kept(folder: Path, data: bytes, suffix: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{hashlib.sha256(data).hexdigest()[:16]}{suffix}"
    objects.replace(folder, name, data)
    return str(folder / name)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
