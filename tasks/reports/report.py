"""Step 7: one self-contained page that shows the draws beside the data, what the chains did, and what it means.

Leaves `report.html`, its figures under `figures/` and its tables as CSV under `tables/`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Dataset, Evaluation, Model, Report, Samples
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.prepare import read_split
from scorefleet.tasks.data.schema import read_schema
from scorefleet.tasks.judging.convergence import MAX_CHAINS, read_ladder
from scorefleet.tasks.judging.evaluate import HELD_OUT
from scorefleet.tasks.mcmc.diagnostics.diagnostics import drift, split_rhat
from scorefleet.tasks.mcmc.kernels.kernels import KERNELS
from scorefleet.tasks.records.provenance import git_commit
from scorefleet.tasks.records.tracking import tracking_uri
from scorefleet.tasks.reports import page, wording
from scorefleet.tasks.reports.figures.style import Picture
from scorefleet.tasks.reports.gallery import Shown, pictures_of, shown_levels
from scorefleet.tasks.reports.likelihood_wording import likelihood
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.subsets import one_draw_per_chain, some_rows

LEAVES = 0.01
"""p of the drift of chains that stay at the lowest noise below which they leave the draws."""
LEAVING = "Chains that stay at the lowest noise leave the draws"

TABLES = ("checks", "levels", "columns", "classes", "nearest", "log_densities", "likelihoods")


def report(
    config: config.Report,
    context: Context,
    dataset: Dataset,
    model: Model,
    samples: Samples,
    evaluation: Evaluation,
) -> Report:
    """Draw every picture, write the page, its figures and its tables."""
    shown = _shown(config, context, dataset, samples, evaluation)
    pictures = pictures_of(shown)
    provenance = _provenance(context, dataset, model, samples, evaluation)
    tables = {**shown.tables, "provenance": page.pairs(provenance)}
    text = render(context, dataset, samples, evaluation, shown, pictures, provenance)
    return page.publish(context, text, pictures, tables)


def _shown(
    config: config.Report, context: Context, dataset: Dataset, samples: Samples, evaluation: Evaluation
) -> Shown:
    """The same rows that were judged, so that tables and pictures speak of the same draws."""
    folder, beside = Path(dataset.uri), Path(samples.beside)
    schema = read_schema(folder)
    held_out = pa.concat_tables([read_split(folder, name) for name in HELD_OUT])
    assert samples.control_uri is not None
    stores = (SampleStore(uri, writable=False) for uri in (samples.uri, samples.control_uri))
    draws, control = (one_draw_per_chain(store, MAX_CHAINS, context.seed) for store in stores)
    tables = {name: Path(evaluation.uri) / f"{name}.csv" for name in TABLES}
    return Shown(
        schema=schema,
        train=schema.encode(some_rows(read_split(folder, "train"), context.seed)),
        held_out=schema.encode(some_rows(held_out, context.seed)),
        draws=schema.encode(draws),
        draws_log_density=_log_density(draws),
        control_log_density=_log_density(control),
        ladder=read_ladder(samples),
        path=_read_arrow(beside / "path.arrow"),
        trace=_read_arrow(beside / "trace.arrow"),
        tables={name: pyarrow.csv.read_csv(path) for name, path in tables.items() if path.exists()},
        num_images=config.num_images,
    )


def _log_density(table: pa.Table) -> np.ndarray | None:
    """A store's log densities, where its model has a density."""
    return table["log_density"].to_numpy() if "log_density" in table.column_names else None


def _read_arrow(path: Path) -> pa.Table:
    with pa.ipc.open_file(path) as source:
        return source.read_all()


def _provenance(
    context: Context, dataset: Dataset, model: Model, samples: Samples, evaluation: Evaluation
) -> dict[str, str]:
    """What was run, on what, by what, and what it cost."""
    description = SampleStore(samples.uri, writable=False).description()
    trained = json.loads((Path(model.uri) / "model.json").read_bytes())
    program = description["program"]
    facts = {
        "Data": f"{sum(dataset.num_rows.values()):,} rows of {dataset.dim} numbers, digest {dataset.digest[:16]}",
        "Split": ", ".join(f"{rows:,} {name}" for name, rows in dataset.num_rows.items()),
        "Model": f"digest {model.digest[:16]}",
        "Model shape": page.listing({key: trained[key] for key in ("energy", "width", "num_blocks")}),
        "Training": page.listing(trained["train"]),
        "Samples": f"{samples.num_rows:,} rows, digest {samples.digest[:16]}",
        "Chains": f"{description['num_chains']:,} chains down {len(program['ladder']['levels'])} noise levels, "
        f"{program['steps_per_level']} steps at each, {program['num_draws']} draws kept",
        "Kernel": KERNELS[description["kernel"]].title,
        "Exchange": f"{program['exchange_rounds']} rounds" if program.get("exchange_rounds") else "none",
        "Seed": str(context.seed),
        "Code": git_commit() or "an installed package",
        "Versions": page.listing(description["versions"]),
    }
    folders = {"prepare": dataset.uri, "train": model.uri, "evaluate": evaluation.uri}
    folders["sample"] = samples.beside
    return facts | page.costs({name: Path(folders[name]) for name in ("prepare", "train", "sample", "evaluate")})


def render(
    context: Context,
    dataset: Dataset,
    samples: Samples,
    evaluation: Evaluation,
    shown: Shown,
    pictures: Mapping[str, Picture],
    provenance: Mapping[str, str],
) -> str:
    """The page as text, from its template."""
    document = json.loads((Path(evaluation.uri) / "evaluation.json").read_bytes())
    kernel = SampleStore(samples.uri, writable=False).description()["kernel"]
    levels = shown_levels(len(shown.sigmas))
    trace = _log_density(shown.trace)
    num_walkers = len(set(shown.trace["chain"].to_pylist()))
    stayed = None if trace is None else trace.reshape(-1, num_walkers).T.astype(float)
    moved = None if stayed is None else drift(stayed)
    sections = [
        ("Draws against held-out rows", "two-sample", wording.two_sample(evaluation.metrics)),
        ("Likelihood", "likelihood", likelihood(evaluation.metrics)),
        ("Quality", "quality", wording.quality(evaluation.metrics)),
        ("Chains, beside the verdict", "beside", wording.chains(evaluation.metrics)),
    ]
    return page.render(
        "report.html.jinja",
        name=context.name,
        dataset=dataset,
        samples=samples,
        evaluation=evaluation,
        checks=document["checks"],
        kernel=KERNELS[kernel].title,
        one_in=round(1 / document["false_alarm_rate"]),
        metrics=evaluation.metrics,
        pictures=pictures,
        provenance=provenance,
        num_images=min(shown.num_images, len(shown.held_out), len(shown.draws)),
        walk_labels=[f"{shown.sigmas[level]:.2g}" for level in levels],
        acceptance=[level["acceptance"] for level in shown.ladder["levels"]],
        gradients_per_chain=round(shown.ladder["gradients_per_chain"]),
        has_density=trace is not None,
        num_walkers=num_walkers,
        trace_rhat=None if stayed is None else split_rhat(stayed),
        trace_drift=moved,
        is_array=shown.schema.is_array,
        sections=sections,
        wanting=[line.name for *_, lines in sections for line in lines if line.is_good is False]
        + ([LEAVING] if moved and moved.p_value < LEAVES else []),
        leaves=LEAVES,
        tables=[*shown.tables, "provenance"],
        mlflow_uri=tracking_uri(config.Register(), context.root),
    )
