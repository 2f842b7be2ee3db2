"""`scorefleet retrain` and `scorefleet rollback`: what comes before a challenger is trained, and after it is judged."""

import dataclasses
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from scorefleet.pipelines import retrain as pipeline
from scorefleet.pipelines import runner, summary, train_and_sample
from scorefleet.pipelines.flow import Flow
from scorefleet.pipelines.preflight import require_file, require_writable
from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.console import notify, output
from scorefleet.tasks.dag.artifacts import Judgement, News, Registration
from scorefleet.tasks.dag.dag import Pipeline, keys_of
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.records.tracking import Journal
from scorefleet.tasks.registry import alias
from scorefleet.tasks.registry.alias import Registry
from scorefleet.tasks.registry.register import KEY_TAG, Record
from scorefleet.tasks.retraining.champion import Seat, require_intact
from scorefleet.tasks.store.locks import locked
from scorefleet.tasks.store.objects import open_store
from scorefleet.tasks.store.places import folder_of


def retrain(settings: commands.Run, flow: Flow, accept_drift: bool) -> int:
    """One tick; a second one of the same model on this machine waits, and then finds nothing new."""
    root = folder_of(settings.root)
    require_writable(str(root))
    require_file(flow.summary, "--summary")
    if not flow.dry_run:
        open_store(str(root))
    registry = Registry(settings.register, settings.name, root)
    with nullcontext() if flow.dry_run else locked(root / "retrain" / f"{settings.name}.lock"):
        found = alias.find(registry)
        first = placed(settings, "")
        own = Pipeline.of(train_and_sample.steps(first), first)
        if found is None or (found[1].get(KEY_TAG) == own.keys["register"] and not all(map(own.is_done, own.keys))):
            return runner.run(own.steps, first, flow)  # the first one, or what is left of it
        version, tags = found
        settings = placed(settings, version)
        seat = Seat(settings.register, f"models:/{settings.name}/{version}", tags.get(KEY_TAG, ""))
        tick = Pipeline.of(pipeline.steps(settings, seat), settings)
        if flow.dry_run and not all(map(tick.is_done, pipeline.BEFORE_TRAINING)):
            return runner.run(tick.steps, settings, flow)
        if (flow.force or flow.start in pipeline.BEFORE_TRAINING) and not flow.dry_run:
            tick.forget(flow.start)
        news = _news(tick)
        if not news.num_arrived + news.num_departed and tags.get("recipe") == Record.of(settings).recipe:
            return _say_nothing_new(seat, tags, flow)
        _refuse_drift(news, seat, accept_drift)
        return _challenge(settings, seat, registry, tags, flow)


def placed(settings: commands.Run, champion: str) -> commands.Run:
    """Every model's draws in a folder of their own where the configuration names one place for them: a new champion's
    come beside the old one's, not over them.
    """
    if settings.store is None:
        return settings
    bare = dataclasses.replace(settings, store=None)
    key = keys_of(train_and_sample.steps(bare), bare)["sample"][:16]
    after = f"-after-{champion}" if settings.retrain.warm_steps and champion else ""
    return dataclasses.replace(settings, store=f"{settings.store.rstrip('/')}/{key}{after}")


def _news(tick: Pipeline) -> News:
    """Run what comes before training."""
    tick.check(name for name in tick.keys if not tick.is_done(name))
    artifacts: dict[str, Any] = {}
    journal = Journal(tick.root / "journal" / f"{tick.key[:16]}.jsonl")
    for name in pipeline.BEFORE_TRAINING:
        artifacts[name] = tick.execute(name, artifacts, journal).artifact
        if name == "champion":
            require_intact(artifacts[name])
    return artifacts["news"]


def _say_nothing_new(seat: Seat, tags: Mapping[str, str], flow: Flow) -> int:
    notify(f"nothing new: data and configuration are those of the champion {seat.model_uri}")
    output(f"samples  {tags['samples_uri']}")
    summary.write(
        flow.summary,
        {"exit_code": 0, "outcome": "nothing new", "champion": seat.model_uri, "samples": tags["samples_uri"]},
    )
    return 0


def _refuse_drift(news: News, seat: Seat, accept_drift: bool) -> None:
    if not news.drift:
        return
    drift = "; ".join(news.drift)
    if not accept_drift:
        raise DataError(
            f"the data have drifted from those of {seat.model_uri}: {drift}. Fix the data, or pass "
            "--accept-drift if the change is real"
        )
    notify(f"accepted: {drift}")


def _challenge(settings: commands.Run, seat: Seat, registry: Registry, tags: Mapping[str, str], flow: Flow) -> int:
    """Train, judge, record; the alias moves last."""
    result = runner.conduct(pipeline.steps(settings, seat), settings, flow)
    if result is None:
        return 0
    outcomes = {name: outcome.artifact for name, outcome in result.outcomes.items()}
    judgement: Judgement | None = outcomes.get("judge")
    if judgement is None:  # a service did not answer, which is said with the places
        runner.say_where(result, runner.places_of(result))
        return runner.exit_code(result)
    registration: Registration = outcomes["register"]
    expected, version = (uri.rpartition("/")[2] for uri in (seat.model_uri, registration.model_uri))
    now = alias.promote(registry, expected, version) if judgement.is_promoted else expected
    samples = outcomes["sample"].uri if now == version else tags["samples_uri"]
    said = {
        "outcome": "promoted" if now == version else "not promoted",
        "champion": f"models:/{settings.name}/{now}",
        "champion_samples": samples,
        "decision": f"{judgement.uri}/decision.json",
        "decision_reasons": judgement.reasons,
    }
    runner.say_where(result, runner.places_of(result) | {"samples": samples, "decision": said["decision"]})
    output(_sentence(seat, registration, judgement, now))
    runner.summarise(result, flow, said)
    return runner.exit_code(result)


def _sentence(seat: Seat, registration: Registration, judgement: Judgement, now: str) -> str:
    reasons, name = " ".join(judgement.reasons), registration.model_uri
    if not judgement.is_promoted:
        return f"not promoted: {name} does not replace {seat.model_uri}. {reasons}"
    if now == name.rpartition("/")[2]:
        return f"promoted: {name} replaces {seat.model_uri}. {reasons}"
    return f"not promoted: {name} was rolled back, or the champion is another than {seat.model_uri} by now"


def rollback(name: str, register: config.Register, root: str, file: str | None) -> int:
    """`scorefleet rollback`."""
    require_file(file, "--summary")
    lost, now, tags = alias.rollback(Registry(register, name, folder_of(root)))
    output(f"models:/{name}/{now} is the champion again; models:/{name}/{lost} is marked as rolled back")
    output(f"samples  {tags['samples_uri']}")
    said = {"champion": f"models:/{name}/{now}", "rolled_back": f"models:/{name}/{lost}"}
    summary.write(file, {"exit_code": 0} | said | dict(tags))
    return 0
