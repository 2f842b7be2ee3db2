"""Runs a pipeline for a person: says what is done, what is going on, and at the end where everything is."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorefleet.pipelines import preflight, summary
from scorefleet.pipelines.ambient import unused
from scorefleet.pipelines.flow import Flow
from scorefleet.pipelines.record import parameters
from scorefleet.tasks.config import commands
from scorefleet.tasks.console import notify, output
from scorefleet.tasks.dag.artifacts import Evaluation, Registration, Samples
from scorefleet.tasks.dag.dag import Outcome, Pipeline, Step
from scorefleet.tasks.errors import ServiceError, StorageError, UsageError
from scorefleet.tasks.fleet.one_line import one_line_failures
from scorefleet.tasks.fleet.progress import clock
from scorefleet.tasks.records.provenance import git_commit, versions
from scorefleet.tasks.records.redaction import redact
from scorefleet.tasks.records.tracking import Journal, Mirror, MirrorStatus, tracking_uri
from scorefleet.tasks.store import signature
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.verify import verify

NOT_CONVERGED = 6
MIRROR_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Result:
    """Everything the steps left, and how the run ended."""

    pipeline: Pipeline
    outcomes: dict[str, Outcome]
    mirror: MirrorStatus
    failure: ServiceError | None


def run(steps: Sequence[Step], settings: commands.Run, flow: Flow, given: Any = None) -> int:
    """Run every step that is not done, and return the exit code. `given` is the configuration of the command where that
    is not `settings`; it is what MLflow records.
    """
    result = conduct(steps, settings, flow, given)
    if result is None:
        return 0
    say_where(result, places_of(result))
    summarise(result, flow, {})
    return exit_code(result)


def conduct(steps: Sequence[Step], settings: commands.Run, flow: Flow, given: Any = None) -> Result | None:
    """Run every step that is not done; None where steps were only to be named."""
    pipeline = Pipeline.of(steps, settings)
    for line in unused(settings, os.environ):
        notify(line)
    preflight.require(pipeline, flow)
    again = _again(pipeline, flow)
    kept = [name for name in pipeline.keys if name not in again and pipeline.is_done(name)]
    pipeline.check(name for name in pipeline.keys if name not in kept)
    for name in kept:
        pipeline.require_intact(name)
    if flow.dry_run:
        _plan(pipeline, again)
        return None
    preflight.open_places(pipeline)
    if flow.force or flow.start:
        pipeline.forget(flow.start)
    result = _execute(pipeline, parameters(steps, given or settings))
    if flow.sign:
        _sign(result.outcomes["sample"].artifact.uri, flow.sign)
    return result


def summarise(result: Result, flow: Flow, more: Mapping[str, Any]) -> None:
    """Write what the last lines say as JSON, where the user asked for it."""
    if flow.summary:
        summary.write(flow.summary, summary_of(result) | dict(more))


def _sign(samples: str, key_file: str) -> None:
    """Only what is proven is signed."""
    proof = verify(samples)
    if not proof.is_whole:
        raise StorageError(f"{samples} is not signed, since it is not whole: {proof.findings[0]}")
    signature.sign(samples, key_file, proof.description)


def _again(pipeline: Pipeline, flow: Flow) -> list[str]:
    """Return the steps that run even if they are done."""
    names = list(pipeline.keys)
    if flow.start:
        return names[names.index(flow.start) :]
    return names if flow.force else []


def _plan(pipeline: Pipeline, again: Sequence[str]) -> None:
    for name in pipeline.keys:
        state = "done already" if pipeline.is_done(name) and name not in again else "would run"
        output(f"{name:<8} {state}: {pipeline.folder(name)}")


def _execute(pipeline: Pipeline, params: Mapping[str, Any]) -> Result:
    """Every step, journalled and mirrored to MLflow; how it ended is recorded whatever happens."""
    settings = pipeline.run
    journal = Journal(pipeline.root / "journal" / f"{pipeline.key[:16]}.jsonl")
    uri = tracking_uri(settings.register, pipeline.root)
    mirror = Mirror(journal, uri, pipeline.root / "mlartifacts", settings.register.experiment, settings.name)
    pipeline.load()
    mirror.start()
    journal.params(params)
    journal.tags(versions() | {"git_commit": git_commit() or "none"})
    try:
        outcomes, failure = _run_steps(pipeline, journal)
    except BaseException:
        journal.status("FAILED")
        mirror.finish(MIRROR_TIMEOUT_S)
        raise
    samples: Samples = outcomes["sample"].artifact
    journal.tags({"samples_uri": samples.uri, "samples_digest": samples.digest})
    if "report" in outcomes:
        journal.artifact(Path(outcomes["report"].artifact.uri), "report")
    journal.status("FINISHED")
    return Result(pipeline, outcomes, mirror.finish(MIRROR_TIMEOUT_S), failure)


def _run_steps(pipeline: Pipeline, journal: Journal) -> tuple[dict[str, Outcome], ServiceError | None]:
    """Every step in order; one that nothing needs may fail for want of a service without stopping the others."""
    outcomes: dict[str, Outcome] = {}
    failure: ServiceError | None = None
    for name in pipeline.keys:
        if not pipeline.is_done(name):
            notify(f"{name:<8} started")
        try:
            with one_line_failures():
                outcomes[name] = pipeline.execute(name, {key: out.artifact for key, out in outcomes.items()}, journal)
        except ServiceError as error:
            if any(name in step.needs for step in pipeline.steps):
                raise
            failure = error
        else:
            journal.params(outcomes[name].resolved)
            _say_step(name, outcomes[name])
            if name == "sample" and not all(pipeline.is_done(other) for other in pipeline.keys):
                _refuse_extended(pipeline, outcomes[name].artifact)
    return outcomes, failure


def _refuse_extended(pipeline: Pipeline, samples: Samples) -> None:
    """Steps judge the draws that this run has made, and no others."""
    num_rows = _rows_since(pipeline, samples)
    if num_rows is not None:
        raise UsageError(
            f"{samples.uri} was extended to {num_rows:,} rows, and had {samples.num_rows:,} when this run drew them; "
            "rerun the command that extended the store to evaluate it"
        )


def _rows_since(pipeline: Pipeline, samples: Samples) -> int | None:
    """How many rows a store outside the root has, where those are not this run's alone."""
    if all(step.place is None for step in pipeline.steps):
        return None
    now = SampleStore(samples.uri, writable=False).description()
    return now["num_rows"] if now["digest"] != samples.digest else None


def _say_step(name: str, outcome: Outcome) -> None:
    if outcome.was_done:
        notify(f"{name:<8} done already")
        return
    peak = f"{outcome.peak_bytes / 2**30:.1f} GiB"
    notify(f"{name:<8} done in {clock(outcome.seconds)}, peak memory {peak}")


def say_where(result: Result, places: Mapping[str, str]) -> None:
    """What a person wants to know at the end, in as few lines as possible."""
    evaluation: Evaluation = result.outcomes["evaluate"].artifact
    if not evaluation.is_converged:
        notify(f"The chains did not converge: {evaluation.reasons[0]} The samples are kept and marked so.")
    elif evaluation.not_tested:
        notify(" ".join(["The chains converged.", *evaluation.not_tested]))
    if result.mirror.num_pending:
        notify(
            f"MLflow: {result.mirror.reason}; {result.mirror.num_pending} entries wait in the journal, and the same "
            "command sends them"
        )
    if result.failure:
        notify(f"scorefleet: {result.failure}")
    _say_champion(result)
    _say_extended(result)
    for label, place in places.items():
        output(f"{label:<8} {place}")


def _say_extended(result: Result) -> None:
    """That more rows are there than the verdict is of."""
    samples: Samples = result.outcomes["sample"].artifact
    num_rows = _rows_since(result.pipeline, samples)
    if num_rows is not None:
        notify(
            f"{samples.uri} was extended since, to {num_rows:,} rows: the verdict is of the first {samples.num_rows:,}"
        )


def _say_champion(result: Result) -> None:
    """That a new version is not the one in use, which a user might think."""
    outcome = result.outcomes.get("register")
    if outcome is None or outcome.was_done or "judge" in result.outcomes:
        return
    registered: Registration = outcome.artifact
    if registered.champion_uri not in (None, registered.model_uri):
        notify(
            f"registered {registered.model_uri}; {registered.champion_uri} is still champion. `scorefleet retrain` "
            "with this configuration compares them"
        )


def places_of(result: Result) -> dict[str, str]:
    """Where samples and page are, and how to look at the record."""
    uri = redact(tracking_uri(result.pipeline.run.register, result.pipeline.root))
    page = _uri(result, "report")
    return {
        "samples": result.outcomes["sample"].artifact.uri,
        **({"report": page} if page else {}),
        "mlflow": f"mlflow ui --backend-store-uri {uri}" if "://" not in uri or uri.startswith("sqlite") else uri,
    }


def summary_of(result: Result) -> dict[str, Any]:
    """What the last lines say, for scripts."""
    evaluation: Evaluation = result.outcomes["evaluate"].artifact
    registered = result.outcomes.get("register")
    registration: Registration | None = registered.artifact if registered else None
    return {
        "is_converged": evaluation.is_converged,
        "reasons": evaluation.reasons,
        "not_tested": evaluation.not_tested,
        "metrics": evaluation.metrics,
        "data": _uri(result, "prepare"),
        "model": _uri(result, "train") or _uri(result, "fetch"),
        "samples": result.outcomes["sample"].artifact.uri,
        "samples_digest": result.outcomes["sample"].artifact.digest,
        "num_rows": result.outcomes["sample"].artifact.num_rows,
        "evaluation": evaluation.uri,
        "report": _uri(result, "report"),
        "mlflow_run": registration.run_id if registration else None,
        "model_version": registration.model_uri if registration else None,
        "mlflow_pending": result.mirror.num_pending,
        "steps": {
            name: {"seconds": outcome.seconds, "peak_bytes": outcome.peak_bytes, "was_done": outcome.was_done}
            for name, outcome in result.outcomes.items()
        },
        "exit_code": exit_code(result),
    }


def _uri(result: Result, step: str) -> str | None:
    """Where a step left its files, if the pipeline has the step."""
    return result.outcomes[step].artifact.uri if step in result.outcomes else None


def exit_code(result: Result) -> int:
    """0, or what went wrong."""
    if result.failure:
        return result.failure.exit_code
    return 0 if result.outcomes["evaluate"].artifact.is_converged else NOT_CONVERGED
