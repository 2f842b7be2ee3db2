"""Step 5: judge the chains, then the draws against rows that training never saw.

Leaves `evaluation.json` and its tables as CSV: `checks`, `levels`, `columns`, `nearest`; `log_densities` and
`likelihoods` where the model has a density; and `classes` where the data have a label.
"""

import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import torch
from torch import Tensor

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Dataset, Evaluation, Model, Normaliser, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import DataSchema, read_schema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm import noise
from scorefleet.tasks.ebm.conservative import antisymmetric_share
from scorefleet.tasks.ebm.dequantise import Grid, dequantise, grid_of
from scorefleet.tasks.ebm.score_matching import rademacher
from scorefleet.tasks.judging.convergence import MAX_CHAINS, Chains, measure, read_ladder
from scorefleet.tasks.judging.likelihoods import held_out as held_out_likelihoods
from scorefleet.tasks.judging.mode_search import not_tested
from scorefleet.tasks.judging.quality import Labels, Quality, Rows, class_balance, compare
from scorefleet.tasks.judging.target_measures import measure_target
from scorefleet.tasks.judging.target_verdict import judge_measures
from scorefleet.tasks.judging.verdict import Verdict, judge
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.subsets import some_rows

NUM_PROBES = 4
HELD_OUT = ("validation", "test")


def evaluate(
    config: config.Evaluate,
    context: Context,
    dataset: Dataset,
    model: Model,
    samples: Samples,
    normaliser: Normaliser | None = None,
) -> Evaluation:
    """The verdict on the chains, what the draws are worth beside held-out rows, and how likely those are."""
    chains = measure(samples, config.false_alarm_rate, context.seed)
    data = {name: read_split(Path(dataset.uri), name) for name in ("train", *HELD_OUT)}
    schema = read_schema(Path(dataset.uri))
    train, held_out = data["train"], pa.concat_tables([data[name] for name in HELD_OUT])
    rows = Rows(*(schema.encode(some_rows(table, context.seed)) for table in (train, held_out, chains.draws)))
    grid = grid_of(torch.from_numpy(rows.train), *(torch.from_numpy(part) for part in schema.grid()))
    parts = [compare(rows, schema, config.false_alarm_rate, context.seed)]
    noised = _noised(rows, grid, read_ladder(samples)["levels"][-1]["logit_beta"], context.seed)
    trained = models.load(Path(model.uri))
    if isinstance(trained, models.ScoreModel):
        parts.append(_asymmetry(noised, trained, context.seed))
    else:
        assert normaliser is not None
        parts.append(_log_densities(noised, trained, samples, chains))
        parts.append(held_out_likelihoods(rows, schema, grid, model, normaliser, context.seed))
    if schema.label:
        parts.append(
            class_balance(rows, Labels(*(_labels(table, schema, context.seed) for table in (train, held_out))))
        )
    metrics = {name: value for part in parts for name, value in part.metrics.items()}
    tables = {name: table for part in parts for name, table in part.tables.items()}
    verdict = judge(chains.measurements, config.false_alarm_rate)
    return _publish(config, context, verdict, chains.metrics | metrics, {"levels": chains.levels} | tables)


def judge_chains(config: config.Evaluate, context: Context, samples: Samples) -> Evaluation:
    """The verdict alone, where the data are not at hand."""
    chains = measure(samples, config.false_alarm_rate, context.seed)
    verdict = judge(chains.measurements, config.false_alarm_rate)
    return _publish(config, context, verdict, chains.metrics, {"levels": chains.levels})


def judge_target(config: config.Evaluate, context: Context, samples: Samples) -> Evaluation:
    """The verdict on chains over a user's own density."""
    store = SampleStore(samples.uri, writable=False)
    measured, left_open = measure_target(store), not_tested(store.description())
    return _publish(config, context, judge_measures(measured.measures), measured.metrics, measured.tables, left_open)


def _labels(table: pa.Table, schema: DataSchema, seed: int) -> np.ndarray:
    assert schema.label is not None
    return some_rows(table, seed)[schema.label.name].to_numpy()


def _noised(rows: Rows, grid: Grid, level: float, seed: int) -> tuple[Tensor, Tensor]:
    """Held-out rows noised to a level, and the level of each."""
    stream = Stream(seed, 0, "held out")
    x = dequantise(torch.from_numpy(rows.held_out[:MAX_CHAINS]), grid, stream.at(0, 0))
    logit_beta = torch.full((len(x),), level)
    return noise.add_noise(x, stream.at(0, 1).normal(*x.shape), logit_beta), logit_beta


def _asymmetry(noised: tuple[Tensor, Tensor], model: models.ScoreModel, seed: int) -> Quality:
    """How far the score is from being the gradient of a density, at held-out rows noised to the lowest level."""
    (x, logit_beta), random = noised, Stream(seed, 0, "held out").at(0, 2)
    probes = torch.stack([rademacher(part) for part in random.uniform(NUM_PROBES, *x.shape).to(x)])
    share = antisymmetric_share(lambda at: model.score(at, logit_beta), x, probes)
    return Quality({"quality/antisymmetric_share": share}, {})


def _log_densities(noised: tuple[Tensor, Tensor], model: models.Model, samples: Samples, chains: Chains) -> Quality:
    """`f` of held-out rows noised to the lowest level and of draws, row by row, in nats, `f` being that of the density
    the chains sampled: a table for the page, where the two are beside each other as the chains see them.
    """
    with torch.no_grad():
        value = model.log_density(*noised) / read_ladder(samples)["temperature"]
    held_out = value.numpy().astype(np.float64)
    draws = chains.draws["log_density"].to_numpy().astype(np.float64)
    sets = ["draws"] * len(draws) + ["held_out"] * len(held_out)
    table = pa.table({"set": sets, "log_density": np.concatenate([draws, held_out])})
    return Quality({}, {"log_densities": table})


def _publish(
    config: config.Evaluate,
    context: Context,
    verdict: Verdict,
    metrics: dict[str, float],
    tables: dict[str, pa.Table],
    left_open: tuple[str, ...] = (),
) -> Evaluation:
    not_finite = tuple(key for key, value in metrics.items() if not math.isfinite(value))
    metrics = {key: value for key, value in metrics.items() if key not in not_finite}
    checks = [dataclasses.asdict(check) for check in verdict.checks]
    for name, table in ({"checks": pa.Table.from_pylist(checks)} | tables).items():
        objects.replace(context.folder, f"{name}.csv", to_csv(table))
    document = {
        "is_converged": verdict.is_converged,
        "reasons": verdict.reasons,
        "not_tested": left_open,
        "checks": checks,
        "false_alarm_rate": config.false_alarm_rate,
        "metrics": metrics,
        "not_finite": not_finite,
    }
    objects.replace(context.folder, "evaluation.json", json.dumps(document, indent=2).encode())
    context.journal.metrics(metrics, step=0)
    tags = {"is_converged": str(verdict.is_converged).lower()}
    context.journal.tags(tags | ({"not_finite": ", ".join(not_finite)} if not_finite else {}))
    return Evaluation(str(context.folder), verdict.is_converged, verdict.reasons, metrics, not_finite, left_open)


def to_csv(table: pa.Table) -> bytes:
    """A table as CSV with a header."""
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()
