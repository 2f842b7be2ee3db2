"""A registered model as what it is: a density of rows, in the user's columns and units.

With `z = (x - location) / scale` the standardised row, `s` the scales and `sigma^2 = beta / (1 - beta)` the noise of
the lowest level, `q` is the density of `z + sigma eps` that the energy has learned, and

    log p(x) = f(sqrt(1 - beta) z, t) - log Z + (d/2) ln(1 - beta) - sum ln s        (`ebm.likelihood`)

in nats per unit of each real column. A column of whole numbers counts with its probability instead, from one
dequantisation of each row, which in the mean is a lower bound.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors import SafetensorError
from torch import Tensor

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Model, Normaliser
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.rows import is_possible, read_rows, values_of
from scorefleet.tasks.data.schema import DataSchema, read_schema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.ebm.dequantise import centre
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.judging.evaluate import judge_chains
from scorefleet.tasks.judging.likelihoods import Scorer, scorer_of
from scorefleet.tasks.mcmc.noise_ladder.smc import LogZ
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.records.tracking_server import tracking_uri as address_of
from scorefleet.tasks.registry import mlflow_model
from scorefleet.tasks.registry.registry import fetch_model
from scorefleet.tasks.reports.draws import Draws
from scorefleet.tasks.sampling.descent import lowest_noise
from scorefleet.tasks.sampling.fixed import learned_grid
from scorefleet.tasks.sampling.sample import sample
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.places import folder_of
from scorefleet.tasks.store.temporary import Temporary
from scorefleet.tasks.user_code import session

BATCH_ROWS = 8192


@dataclass(frozen=True, repr=False)
class LearnedDensity:
    """`exp f / Z` at the lowest noise level of a model; `data` below is whatever `data.rows.read_rows` takes."""

    model: models.Trained
    schema: DataSchema
    logit_beta: float
    """The lowest noise level, at which rows are scored."""
    scorer: Scorer | None
    """What knows log Z; None of a model without a density, or registered before log Z was kept beside it."""
    folder: Path
    """Where its files are."""
    kept: Temporary | None = None
    """What holds them as long as the model is held, where they were fetched."""

    def __repr__(self) -> str:
        """One line: a notebook shows it, and the weights tell nobody anything."""
        log_z = "unknown" if self.scorer is None else "{:.3f}, {:.3f} to {:.3f}".format(*self.scorer.log_z[:3])
        return f"<LearnedDensity of {', '.join(self.columns)}; log Z {log_z}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the model knows, in its order."""
        return tuple(column.name for column in self.schema.columns)

    @property
    def log_z(self) -> LogZ:
        """`log Z` in nats at the lowest noise level, with its 95 % interval, which all log densities share."""
        return self._require_scorer().log_z

    def log_prob(self, data: Any, seed: int = 0) -> np.ndarray:
        """Return the log density of each row in nats, float64 [row]; -inf where a whole-number column has a value that
        no draw can have. `seed` is of the dequantisation. Raises `DataError`, and `UsageError` without log Z.
        """
        scorer, table = self._require_scorer(), read_rows(data, self.schema)
        nats = [
            scorer.score(rows, Stream(seed, block, "log density"))[0].double().numpy()
            for block, rows in enumerate(self._standardised(table))
        ]
        is_allowed = [is_possible(values_of(table, column), column) for column in self.schema.columns]
        return np.where(np.all(is_allowed, axis=0), np.concatenate(nats), -np.inf)

    def score(self, data: Any) -> dict[str, np.ndarray]:
        """Return `d log q / dx` at each row, per user's unit: column -> float64 [row, *shape]. A whole-number column is
        taken at the centre of what rounds to its value.
        """
        signal = _signal(self.logit_beta)
        parts = [
            self.model.value_and_score(signal * rows, _filled(rows, self.logit_beta))[1] for rows in self._centred(data)
        ]
        return self._by_column(signal * torch.cat(parts).double().numpy() / self.schema.scale)

    def denoise(self, data: Any, noise_scale: float) -> dict[str, np.ndarray]:
        """Return `E[x | x + noise]` of each row by Tweedie's formula, for Gaussian noise of `noise_scale` standard
        deviations of each column on the given rows: column -> float64 [row, *shape].
        """
        least = math.exp(self.logit_beta / 2)
        if not least <= noise_scale <= math.exp(noise.LOGIT_BETA_MAX / 2):
            raise UsageError(
                f"noise_scale must be from {least:.3g}, the model's lowest noise, to "
                f"{math.exp(noise.LOGIT_BETA_MAX / 2):.3g}, but got {noise_scale:g}"
            )
        level = 2 * math.log(noise_scale)
        signal = _signal(level)
        parts = [self.model.denoise(signal * rows, _filled(rows, level)) for rows in self._centred(data)]
        return self._by_column(torch.cat(parts).double().numpy() * self.schema.scale + self.schema.location)

    def sample(self, num_samples: int, seed: int = 0, **settings: Any) -> Draws:
        """Draw rows by a fleet of chains in this process, one draw a chain unless `num_draws` says otherwise: the same
        as `scorefleet generate` with this seed and the same `settings` (`sample.kernel` is `kernel`). Raises
        `UsageError`.
        """
        try:
            num_chains = -(-num_samples // settings.get("num_draws", 1))
            chains = config.Sample(num_chains=num_chains, **settings)
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from error
        made, model = Temporary(), models.digest(self.folder)
        journal, alone = Journal(made.path / "journal.jsonl"), config.Cluster(num_actors=0)
        folders = made.path / "sample", made.path / "evaluate"
        drawn, judged = (Context(model, folder, "model", seed, made.path, alone, journal) for folder in folders)
        with session.as_it_was():
            samples = sample(chains, drawn, Model(str(self.folder), model))
            verdict = judge_chains(config.Evaluate(), judged, samples)
        return Draws(SampleStore(samples.uri, writable=False), verdict, made)

    def _require_scorer(self) -> Scorer:
        if self.scorer is None:
            models.require_density(self.model, "a log density")
            raise UsageError("the model was registered without its log Z: run the command that trained it again")
        return self.scorer

    def _standardised(self, table: pa.Table) -> list[Tensor]:
        """Batches of standardised rows; one without rows where there are none."""
        starts = range(0, max(len(table), 1), BATCH_ROWS)
        return [torch.from_numpy(self.schema.encode(table.slice(start, BATCH_ROWS))) for start in starts]

    def _centred(self, data: Any) -> list[Tensor]:
        grid = learned_grid(self.schema)
        return [centre(rows, grid) for rows in self._standardised(read_rows(data, self.schema))]

    def _by_column(self, x: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([column.size for column in self.schema.columns])[:-1]
        parts = zip(self.schema.columns, np.split(x, ends, axis=1), strict=True)
        return {column.name: part.reshape(len(x), *column.shape) for column, part in parts}


def load(model: str | Path, root: str = "./runs", tracking_uri: str | None = None) -> LearnedDensity:
    """Return the density of a model: `models:/NAME@ALIAS` or `models:/NAME/VERSION` of the MLflow server at
    `tracking_uri`, by default the file under `root`, or a folder with its files. Raises `UsageError`, `StorageError`
    where files are not those that were registered, and `ServiceError`.
    """
    if not str(model).startswith("models:/"):
        return of_folder(folder_of(str(model)))
    uri = address_of(config.Register(tracking_uri=tracking_uri), folder_of(root))
    kept = Temporary()
    return dataclasses.replace(of_folder(fetch_model(str(model), uri, kept.path)), kept=kept)


def of_folder(folder: Path) -> LearnedDensity:
    """Return the density of the files of a registered model."""
    missing = [name for name in mlflow_model.FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} has no {missing[0]}: name a registered model, or a folder with its files")
    try:
        return _read(folder)
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:  # whatever their readers raise
        raise StorageError(
            f"the files in {folder} are no whole model ({' '.join(str(error).split())[:100]})"
        ) from error


def _read(folder: Path) -> LearnedDensity:
    schema = read_schema(folder)
    trained, scorer = models.load(folder), None
    level = noise.logit_beta_of(lowest_noise(None, schema))
    if (folder / mlflow_model.NORMALISER).is_file():
        kept = json.loads((folder / mlflow_model.NORMALISER).read_bytes())
        scorer = scorer_of(schema, learned_grid(schema), trained, Normaliser.of_json({"uri": str(folder)} | kept))
        level = scorer.logit_beta
    return LearnedDensity(trained, schema, level, scorer, folder)


def _signal(level: float) -> float:
    return float(noise.signal_level(torch.tensor(level, dtype=torch.float64)))


def _filled(rows: Tensor, level: float) -> Tensor:
    return torch.full((len(rows),), level).to(rows)
