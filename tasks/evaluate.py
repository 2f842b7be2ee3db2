"""Step 4: judge the chains, then the draws against rows that training never saw.

Leaves `evaluation.json` and its tables as CSV: `checks`, `levels`, `columns`, `log_densities`, `nearest`, and
`classes` where the data have a label.
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

from tasks import config
from tasks.artifacts import Dataset, Evaluation, Model, Samples
from tasks.context import Context
from tasks.convergence import MAX_CHAINS, Chains, measure, read_ladder
from tasks.ebm import model as models
from tasks.ebm import noise
from tasks.ebm.dequantise import Grid, dequantise, grid_of
from tasks.mcmc.streams import Stream
from tasks.prepare import read_schema, read_split
from tasks.quality import Labels, Quality, Rows, class_balance, compare
from tasks.store import objects
from tasks.store.manifest import SampleStore
from tasks.store.schema import DataSchema
from tasks.subsets import some_rows
from tasks.travel_measures import measure_travel
from tasks.travel_verdict import judge_travel
from tasks.verdict import Verdict, judge

HELD_OUT = ("validation", "test")


def evaluate(config: config.Evaluate, context: Context, dataset: Dataset, model: Model, samples: Samples) -> Evaluation:
    """The verdict on the chains, and what the draws are worth beside held-out rows."""
    chains = measure(samples, config.false_alarm_rate, context.seed)
    data = {name: read_split(Path(dataset.uri), name) for name in ("train", *HELD_OUT)}
    schema = read_schema(Path(dataset.uri))
    train, held_out = data["train"], pa.concat_tables([data[name] for name in HELD_OUT])
    rows = Rows(*(schema.encode(some_rows(table, context.seed)) for table in (train, held_out, chains.draws)))
    grid = grid_of(torch.from_numpy(rows.train), *(torch.from_numpy(part) for part in schema.grid()))
    parts = [compare(rows, schema, config.false_alarm_rate, context.seed)]
    parts.append(_log_densities(rows, grid, model, samples, chains, context.seed))
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


def judge_travellers(config: config.Evaluate, context: Context, samples: Samples) -> Evaluation:
    """The verdict on chains that travel over a user's own density."""
    measured = measure_travel(SampleStore(samples.uri, writable=False))
    return _publish(config, context, judge_travel(measured.travel), measured.metrics, measured.tables)


def _labels(table: pa.Table, schema: DataSchema, seed: int) -> np.ndarray:
    assert schema.label is not None
    return some_rows(table, seed)[schema.label.name].to_numpy()


def _log_densities(rows: Rows, grid: Grid, model: Model, samples: Samples, chains: Chains, seed: int) -> Quality:
    """`f(x') - ln Z` of held-out rows noised to the lowest level, in nats, and `f` of them and of draws, row
    by row, `f` being that of the density the chains sampled.
    """
    ladder = read_ladder(samples)
    level = ladder["levels"][-1]["logit_beta"]
    stream = Stream(seed, 0, "held out")
    x = dequantise(torch.from_numpy(rows.held_out[:MAX_CHAINS]), grid, stream.at(0, 0))
    logit_beta = torch.full((len(x),), level)
    noised = noise.add_noise(x, stream.at(0, 1).normal(*x.shape), logit_beta)
    with torch.no_grad():
        value = models.load(Path(model.uri)).log_density(noised, logit_beta) / ladder["temperature"]
    held_out = value.numpy().astype(np.float64)
    draws = chains.draws["log_density"].to_numpy().astype(np.float64)
    error = held_out.std(ddof=1) / math.sqrt(len(held_out))
    metrics = {
        "quality/held_out_log_density": float(held_out.mean()) - chains.metrics["chains/log_z"],
        "quality/held_out_log_density_standard_error": math.hypot(error, chains.metrics["chains/log_z_standard_error"]),
    }
    sets = ["draws"] * len(draws) + ["held_out"] * len(held_out)
    table = pa.table({"set": sets, "log_density": np.concatenate([draws, held_out])})
    return Quality(metrics, {"log_densities": table})


def _publish(
    config: config.Evaluate, context: Context, verdict: Verdict, metrics: dict[str, float], tables: dict[str, pa.Table]
) -> Evaluation:
    metrics = {key: value for key, value in metrics.items() if math.isfinite(value)}
    checks = [dataclasses.asdict(check) for check in verdict.checks]
    for name, table in ({"checks": pa.Table.from_pylist(checks)} | tables).items():
        objects.replace(context.folder, f"{name}.csv", to_csv(table))
    document = {
        "is_converged": verdict.is_converged,
        "reasons": verdict.reasons,
        "checks": checks,
        "false_alarm_rate": config.false_alarm_rate,
        "metrics": metrics,
    }
    objects.replace(context.folder, "evaluation.json", json.dumps(document, indent=2).encode())
    context.journal.metrics(metrics, step=0)
    context.journal.tags({"is_converged": str(verdict.is_converged).lower()})
    return Evaluation(str(context.folder), verdict.is_converged, verdict.reasons, metrics)


def to_csv(table: pa.Table) -> bytes:
    """A table as CSV with a header."""
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()
