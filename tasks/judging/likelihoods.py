"""How likely the learned density finds rows that training never saw: in nats, in the user's units.

What is scored is the density of a row with Gaussian noise of the lowest level on it, at the row itself: whole numbers
count with a lower bound of their probability, by one dequantisation of each row, real numbers with their density. It is
that of `exp f` at temperature 1, whatever the chains sampled; theirs stands beside it.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from scorefleet.tasks.dag.artifacts import Model, Normaliser
from scorefleet.tasks.data.schema import DataSchema
from scorefleet.tasks.ebm import likelihood
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm.dequantise import Grid, dequantise
from scorefleet.tasks.judging.quality import Quality, Rows
from scorefleet.tasks.mcmc.noise_ladder import smc
from scorefleet.tasks.mcmc.noise_ladder.smc import LogZ
from scorefleet.tasks.mcmc.streams import Stream

MAX_SCORED = 4096
MAX_FLOW_ROWS, FLOW_VALUES, FLOW_STEPS = 128, 2048, 16
"""Rows and Runge-Kutta steps of the probability flow, whose cost grows with rows times dimensions."""


@dataclass(frozen=True)
class Scorer:
    """`exp(f/T) / Z` at the lowest noise level, T the temperature, and the units of the data."""

    model: models.Model
    units: likelihood.Units
    logit_beta: float
    log_z: LogZ
    temperature: float = 1.0

    def score(self, rows: Float[Tensor, "row dim"], stream: Stream) -> tuple[Tensor, Tensor]:
        """Log-likelihoods [row] of standardised rows in the user's units, and where each was spread to [row, dim]."""
        spread = dequantise(rows, self.units.grid, stream.at(0, 0))
        log_q = likelihood.by_normalised_energy(self._heated, spread, self.logit_beta, self.log_z.estimate)
        return likelihood.of_data(log_q, rows, spread, self.units), spread

    def score_by_flow(self, rows: Float[Tensor, "row dim"], spread: Tensor) -> Tensor:
        """The same of the probability flow at temperature 1, which knows no log Z."""
        log_q = likelihood.by_probability_flow(self.model.log_density, spread, self.logit_beta, FLOW_STEPS)
        return likelihood.of_data(log_q, rows, spread, self.units)

    def _heated(self, x: Tensor, logit_beta: Tensor) -> Tensor:
        return self.model.log_density(x, logit_beta) / self.temperature


def scorer_of(schema: DataSchema, grid: Grid, trained: models.Trained, normaliser: Normaliser) -> Scorer:
    """The density of a finished run."""
    units = likelihood.Units(torch.from_numpy(schema.scale.astype(np.float32)), grid)
    log_z = smc.interval(normaliser.by_population)
    return Scorer(models.require_density(trained, "a likelihood"), units, normaliser.logit_beta, log_z)


def held_out(rows: Rows, schema: DataSchema, grid: Grid, model: Model, normaliser: Normaliser, seed: int) -> Quality:
    """Log-likelihoods of held-out rows, one by one and in the mean, and what they are checked by."""
    scorer = scorer_of(schema, grid, models.load(Path(model.uri)), normaliser)
    x = torch.from_numpy(rows.held_out[:MAX_SCORED])
    scores, spread = scorer.score(x, Stream(seed, 0, "held out"))
    known, _ = scorer.score(torch.from_numpy(rows.train[:MAX_SCORED]), Stream(seed, 0, "learned from"))
    nats = scores.double().numpy()
    reach = mean_reach(nats, scorer.log_z)
    metrics = {
        "likelihood/held_out": float(nats.mean()),
        "likelihood/held_out_low": float(nats.mean()) - reach,
        "likelihood/held_out_high": float(nats.mean()) + reach,
        "likelihood/train": float(known.double().mean()),
        "likelihood/noise": math.exp(normaliser.logit_beta / 2),
        "likelihood/num_rows": float(len(nats)),
        **{f"likelihood/log_z{end}": value for end, value in _ends(scorer.log_z).items()},
    }
    metrics |= _sampled(scorer, normaliser, x, seed)
    flow = by_flow(scorer, x, spread, scores)
    table = {"row": np.arange(len(nats)), "log_likelihood": nats}
    if all(column.is_whole for column in schema.columns):
        table["bits_per_dimension"] = likelihood.bits_per_dimension(scores.double(), schema.dim).numpy()
        metrics["likelihood/bits_per_dimension"] = float(table["bits_per_dimension"].mean())
    padded = np.full(len(nats), np.nan)
    padded[: len(flow)] = flow
    table["by_probability_flow"] = pa.array(padded, mask=np.isnan(padded))
    return Quality(metrics | _difference(nats, flow), {"likelihoods": pa.table(table)})


def by_flow(scorer: Scorer, rows: Tensor, spread: Tensor, scores: Tensor) -> np.ndarray:
    """Log-likelihoods of the first rows by the probability flow; none where there are too many dimensions."""
    dim = rows.shape[1]
    num_rows = min(MAX_FLOW_ROWS, FLOW_VALUES // dim) if dim <= likelihood.MAX_EXACT_DIM else 0
    if not num_rows:
        return np.zeros(0)
    return scorer.score_by_flow(rows[:num_rows], spread[:num_rows]).double().numpy()


def mean_reach(nats: np.ndarray, log_z: LogZ, confidence: float = 0.95) -> float:
    """Half of the confidence interval of the mean of some rows: their number's part, and that of log Z, which they
    share.
    """
    error = nats.std(ddof=1) / np.sqrt(len(nats))
    return float(np.hypot(stats.norm.ppf(0.5 + confidence / 2) * error, log_z.high - log_z.estimate))


def _ends(log_z: LogZ) -> dict[str, float]:
    return {"": log_z.estimate, "_low": log_z.low, "_high": log_z.high, "_spread": log_z.spread}


def _sampled(scorer: Scorer, normaliser: Normaliser, rows: Tensor, seed: int) -> dict[str, float]:
    """The same numbers of the density that the chains sampled, where its temperature is not 1."""
    if normaliser.temperature == 1:
        return {}
    log_z = smc.interval(normaliser.by_population_sampled)
    heated = replace(scorer, log_z=log_z, temperature=normaliser.temperature)
    scores, _ = heated.score(rows, Stream(seed, 0, "held out"))
    found = {f"likelihood/sampled_log_z{end}": value for end, value in _ends(log_z).items()}
    return found | {"likelihood/sampled_held_out": float(scores.double().mean())}


def _difference(nats: np.ndarray, flow: np.ndarray) -> dict[str, float]:
    """Mean of energy minus flow over the same rows, and its standard error over rows."""
    if not len(flow):
        return {}
    gap = nats[: len(flow)] - flow
    return {
        "likelihood/flow": float(flow.mean()),
        "likelihood/num_flow_rows": float(len(flow)),
        "likelihood/energy_minus_flow": float(gap.mean()),
        "likelihood/energy_minus_flow_standard_error": float(gap.std(ddof=1) / np.sqrt(len(gap))),
    }
