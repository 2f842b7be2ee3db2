"""The last step of a user's own density: one self-contained page of its draws, what the chains did, and what it means.

Leaves `report.html`, its figures under `figures/` and its tables as CSV under `tables/`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import torch

from scorefleet.tasks import config
from scorefleet.tasks.config import Register
from scorefleet.tasks.dag import published
from scorefleet.tasks.dag.artifacts import Evaluation, Report, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.judging.target_measures import num_judged, read_draws
from scorefleet.tasks.mcmc.warmup import frozen
from scorefleet.tasks.records.provenance import git_commit
from scorefleet.tasks.records.tracking import tracking_uri
from scorefleet.tasks.reports import page, target_wording
from scorefleet.tasks.reports.target_gallery import Shown, pictures_of
from scorefleet.tasks.sampling.sample_target import NUM_WARM, read_warm
from scorefleet.tasks.sampling.target_log_z import STORE as EVIDENCE
from scorefleet.tasks.store.manifest import Entry, SampleStore
from scorefleet.tasks.user_code import density

TABLES = ("checks", "summary", "ladder")
MAX_ROWS, MAX_REPLICAS = 40, 600

KERNEL_NAMES = {
    "hmc": "Hamiltonian Monte Carlo",
    "mala": "Metropolis-adjusted Langevin",
    "lecture_mala": "Metropolis-adjusted Langevin, in the lecture's form",
    "random_walk": "random-walk Metropolis",
    "gibbs": "Metropolis-within-Gibbs",
    "langevin": "unadjusted Langevin",
}


def report_target(config: config.Chains, context: Context, samples: Samples, evaluation: Evaluation) -> Report:
    """Draw every picture, write the page, its figures and its tables."""
    store, beside = SampleStore(samples.uri, writable=False), Path(evaluation.uri)
    tables = {name: pyarrow.csv.read_csv(path) for name in TABLES if (path := beside / f"{name}.csv").exists()}
    pictures = pictures_of(_shown(config, store, samples, tables))
    provenance = _provenance(config, context, samples, evaluation, store.description())
    tables["provenance"] = page.pairs(provenance)
    document = json.loads((beside / "evaluation.json").read_bytes())
    description, metrics = store.description(), evaluation.metrics
    num_chains = num_judged(description)
    effective = metrics.get("chains/bulk_ess_min", float("nan")) * description["num_chains"] / num_chains
    sections = [
        ("The ladder", "ladder-numbers", target_wording.ladder(metrics)),
        ("Beside the verdict", "beside", target_wording.measures(metrics, _seconds(samples), effective)),
    ]
    text = page.render(
        "target_report.html.jinja",
        name=context.name,
        rounded=target_wording.rounded,
        config=config,
        kernel=KERNEL_NAMES[config.kernel],
        samples=samples,
        evaluation=evaluation,
        checks=document["checks"],
        metrics=metrics,
        rows=tables["summary"].slice(0, MAX_ROWS + 1).to_pylist(),
        pictures=pictures,
        traces=[picture for name, picture in pictures.items() if name.startswith("traces")],
        num_judged=num_chains,
        evidence=description["evidence"],
        exactness=target_wording.exactness(description["is_exact"], "ladder" in tables, bool(description["evidence"])),
        next_steps=target_wording.next_steps(evaluation.is_converged, metrics, description["program"]),
        tuned=_tuned(config, samples, description["program"]),
        sections=sections,
        provenance=provenance,
        tables=list(tables),
        mlflow_uri=tracking_uri(Register(), context.root),
    )
    return page.publish(context, text, pictures, tables)


def _shown(config: config.Chains, store: SampleStore, samples: Samples, tables: dict[str, pa.Table]) -> Shown:
    description, entries = store.description(), store.entries()
    found = description["evidence"]
    volume = 0.0
    if found:
        tuned = frozen.from_arrays(read_warm(store.uri))
        volume = tuned.coordinates.log_volume
    return Shown(
        draws=read_draws(store),
        thinning=description["program"]["thinning"],
        summary=tables["summary"],
        ladder=tables.get("ladder"),
        replicas=_replicas(config, store, entries) if "ladder" in tables else None,
        round_trips=_round_trips(entries) if "ladder" in tables else np.zeros(0),
        evidence=found,
        by_population=_by_population(Path(samples.beside)) + volume if found else np.zeros(0),
    )


def _by_population(folder: Path) -> np.ndarray:
    beside = SampleStore(str(folder / EVIDENCE), writable=False)
    return beside.dataset().to_table()["log_z"].to_numpy()


def _replicas(config: config.Chains, store: SampleStore, entries: list[Entry]) -> np.ndarray:
    """Where the replicas of some chains stand after their last round [level, chain, dim]."""
    last = {entry.block: entry for entry in entries}.values()
    coordinates = frozen.from_arrays(read_warm(store.uri)).coordinates
    support = density.support_of(config)
    parts, count = [], 0
    for entry in last:
        white = torch.from_numpy(store.load_state(entry)["x"])
        z, _ = coordinates.from_white(white.flatten(0, 1))
        x, _ = support.constrain(z)
        parts.append(x.reshape(*white.shape[:2], -1).numpy())
        count += white.shape[1]
        if count >= MAX_REPLICAS:
            break
    return np.concatenate(parts, axis=1)


def _round_trips(entries: list[Entry]) -> np.ndarray:
    """Of every chain, over its segments."""
    blocks: dict[int, np.ndarray] = {}
    for entry in entries:
        blocks[entry.block] = blocks.get(entry.block, 0) + np.array(entry.facts["round_trips"])
    return np.concatenate(list(blocks.values()))


def _seconds(samples: Samples) -> float:
    return published.read(Path(samples.beside))["seconds"]


def _tuned(config: config.Chains, samples: Samples, program: dict[str, Any]) -> dict[str, str]:
    """What the warm-up found and then froze."""
    found = frozen.from_arrays(read_warm(samples.uri))
    whitening = found.coordinates.whitening
    tuned = {
        "Metric": f"a {'diagonal' if whitening.is_diagonal else 'full'} matrix, learned by {NUM_WARM} chains together; "
        f"its widest direction is {whitening.condition:,.3g} times its narrowest",
        "Step size": f"{program['step_size']:.4g} in white units",
        "Starting points": f"{NUM_WARM}, where the warm-up's chains ended; chains that share one are a superchain",
        "Thrown away": f"{program['burn_in']} steps of each chain after the warm-up, before the first kept draw",
    }
    if config.kernel == "hmc":
        tuned["Trajectories"] = f"of length {program['length']:.3g} on average, jittered by a half"
    if found.coordinates.bend:
        tuned["Bend"] = "a triangular change of coordinates that straightens scales and means that follow others"
    if found.coordinates.skew:
        tuned["Skew"] = "a triangular change of coordinates that takes out the third order of the density"
    if found.coordinates.tails:
        h = float(found.coordinates.tails.heaviness.max())
        tuned["Tails"] = (
            f"each heavy coordinate grows like exp(h y^2/2), h at most {h:.2f}, so that chains reach its tail"
        )
    if found.coordinates.radial:
        h = float(found.coordinates.radial.heaviness)
        tuned["Radial tail"] = f"distances from the centre grow like exp(h s^2/2), h = {h:.2f}, in all directions"
    if config.kernel == "hmc" and found.jumps and "ladder" not in program:
        tuned["Jumps"] = (
            f"{found.jumps.share:.0%} of the transitions are proposals from a mixture that was fitted to the warm-up's "
            "draws, and accepted with its exact ratio"
        )
    if "ladder" in program:
        tuned["Ladder"] = (
            f"{len(program['ladder']['levels'])} levels from a Gaussian {program['ladder']['scale']:g} times as wide "
            "as the metric says, spaced for equal rejection, each with a step size of its own"
        )
    return tuned


def _provenance(
    config: config.Chains, context: Context, samples: Samples, evaluation: Evaluation, description: dict[str, Any]
) -> dict[str, str]:
    """What was run, by what, and what it cost."""
    facts = {
        "Density": f"{config.target}, sources {description['target_digest'][:16]}",
        "Support": config.support,
        "Samples": f"{samples.num_rows:,} rows, digest {samples.digest[:16]}",
        "Chains": f"{config.num_chains:,} of {config.num_draws:,} draws, {config.thinning} steps apart, in blocks of "
        f"{config.block_size}",
        "Seed": str(context.seed),
        "Code": git_commit() or "an installed package",
        "Versions": page.listing(description["versions"]),
    }
    folders = {"sample": Path(samples.beside), "evaluate": Path(evaluation.uri)}
    return facts | page.costs(folders)
