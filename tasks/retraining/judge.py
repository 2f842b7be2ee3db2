"""Step of `retrain`: challenger and champion on the same held-out rows, and what follows from it.

Leaves `decision.json` with every number. The decision is recorded in MLflow too, as tags of the challenger's version
and metrics of its run, whichever way it went; nothing is promoted here.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from scorefleet.tasks import config
from scorefleet.tasks.dag import published
from scorefleet.tasks.dag.artifacts import (
    Champion,
    Dataset,
    Evaluation,
    Judgement,
    Model,
    News,
    Normaliser,
    Registration,
    Samples,
)
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.ebm.dequantise import grid_of
from scorefleet.tasks.judging.likelihoods import MAX_SCORED, scorer_of
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.records.tracking_server import connect, service, tracking_uri
from scorefleet.tasks.retraining.champion import require_intact
from scorefleet.tasks.retraining.gate import (
    MIN_HELD_OUT,
    Comparison,
    Decision,
    Facts,
    compare_draws,
    compare_likelihoods,
    decide,
    not_numbers,
)
from scorefleet.tasks.retraining.news import fair_rows
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.subsets import one_draw_per_chain, some_rows
from scorefleet.tasks.store.verify import verify

MAX_DRAWS = 1000


def judge(
    config: config.Register,
    context: Context,
    dataset: Dataset,
    model: Model,
    samples: Samples,
    evaluation: Evaluation,
    registration: Registration,
    champion: Champion,
    news: News,
    normaliser: Normaliser | None = None,
) -> Judgement:
    """Compare, decide, record."""
    require_intact(champion)
    rows = some_rows(fair_rows(dataset, champion), context.seed, MAX_SCORED)
    facts, comparisons = facts_of(samples, evaluation, normaliser is not None), list[Comparison]()
    if len(rows) >= MIN_HELD_OUT:
        if normaliser and champion.normaliser_uri:
            theirs = Normaliser.of_json(published.read(Path(champion.normaliser_uri))["artifact"])
            ours_at = log_likelihoods(model.uri, dataset.uri, normaliser, rows, context.seed)
            theirs_at = log_likelihoods(champion.uri, champion.data_uri, theirs, rows, context.seed)
            facts = _with_likelihoods(facts, ours_at, theirs_at)
            log_z = normaliser.by_population, theirs.by_population
            comparisons.append(compare_likelihoods(ours_at, theirs_at, *log_z))
        comparisons.append(_compare_draws(samples.uri, champion, rows, context.seed))
    decision = decide(facts, champion.is_exact, comparisons)
    _record(config, context, registration, champion, news, len(rows), comparisons, decision)
    return Judgement(str(context.folder), decision.is_promoted, decision.reasons)


def facts_of(samples: Samples, evaluation: Evaluation, has_density: bool) -> Facts:
    """What is known of a model by itself; both of its stores are proven whole."""
    stores = [samples.uri, *([samples.control_uri] if samples.control_uri else [])]
    findings = tuple(str(finding) for uri in stores for finding in verify(uri).findings)
    bad = not_numbers(evaluation.metrics, evaluation.not_finite, has_density)
    is_exact = bool(SampleStore(samples.uri, writable=False).description()["is_exact"])
    num_nonfinite = 0 if "chains/num_nonfinite" in bad else int(evaluation.metrics["chains/num_nonfinite"])
    return Facts(evaluation.is_converged, evaluation.reasons, num_nonfinite, findings, bad, is_exact)


def log_likelihoods(model_uri: str, data_uri: str, normaliser: Normaliser, rows: pa.Table, seed: int) -> np.ndarray:
    """Of each row in the user's units, by a model with the schema of the data that it learned from."""
    schema = read_schema(Path(data_uri))
    learned = schema.encode(some_rows(read_split(Path(data_uri), "train"), seed))
    grid = grid_of(torch.from_numpy(learned), *(torch.from_numpy(part) for part in schema.grid()))
    scorer = scorer_of(schema, grid, models.load(Path(model_uri)), normaliser)
    scores, _ = scorer.score(torch.from_numpy(schema.encode(rows)), Stream(seed, 0, "held out"))
    return scores.double().numpy()


def _with_likelihoods(facts: Facts, challenger: np.ndarray, champion: np.ndarray) -> Facts:
    """Both must be numbers, for so must be their difference."""
    num_bad = {"challenger": (~np.isfinite(challenger)).sum(), "champion": (~np.isfinite(champion)).sum()}
    bad = tuple(f"{number:,} likelihoods of the {whose}" for whose, number in num_bad.items() if number)
    return dataclasses.replace(facts, not_numbers=facts.not_numbers + bad)


def _compare_draws(samples_uri: str, champion: Champion, rows: pa.Table, seed: int) -> Comparison:
    """As many draws of each, one a chain, in the coordinates of the champion, which was there first."""
    schema = read_schema(Path(champion.data_uri))
    stores = [SampleStore(uri, writable=False) for uri in (samples_uri, champion.samples_uri)]
    draws = [schema.encode(one_draw_per_chain(store, MAX_DRAWS, seed)) for store in stores]
    size = min(len(part) for part in draws)
    return compare_draws(draws[0][:size], draws[1][:size], schema.encode(some_rows(rows, seed, MAX_DRAWS)))


def _record(
    config: config.Register,
    context: Context,
    registration: Registration,
    champion: Champion,
    news: News,
    num_rows: int,
    comparisons: list[Comparison],
    decision: Decision,
) -> None:
    document = {
        "is_promoted": decision.is_promoted,
        "reasons": decision.reasons,
        "challenger": registration.model_uri,
        "champion": champion.model_uri,
        "num_held_out": num_rows,
        "criteria": [dataclasses.asdict(one) for one in comparisons],
        "num_arrived": news.num_arrived,
        "num_departed": news.num_departed,
        "accepted_drift": news.drift,
    }
    objects.replace(context.folder, "decision.json", json.dumps(document, indent=2).encode())
    metrics = {f"gate/{one.name}_difference": one.difference for one in comparisons}
    metrics |= {f"gate/{one.name}_standard_error": one.standard_error for one in comparisons}
    context.journal.metrics(metrics | {"gate/num_held_out": float(num_rows)}, step=0)
    tags = {
        "decision": "promoted" if decision.is_promoted else "not promoted",
        "decision_reasons": " ".join(decision.reasons)[:5000],
        "judged_against": champion.model_uri,
    }
    context.journal.tags(tags)
    context.journal.artifact(context.folder / "decision.json", "decision")
    uri = tracking_uri(config, context.root)
    name, _, version = registration.model_uri.removeprefix("models:/").partition("/")
    with service(uri):
        client = connect(uri)
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
