"""Draws from a user's own density.

1. sample    warm up, then run fleets of chains over the density
2. evaluate  judge the chains
3. report    draw the page
"""

import dataclasses

from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.dag import artifacts
from scorefleet.tasks.dag.dag import Step, imported
from scorefleet.tasks.fleet.capacity import TARGET_ITEM_BYTES, require_room
from scorefleet.tasks.sampling.sample_target import key_of, sample_target
from scorefleet.tasks.user_code.density import support_of

evaluate, report = (
    imported("scorefleet.tasks.judging.evaluate:judge_target"),
    imported("scorefleet.tasks.reports.target_report:report_target"),
)


def steps(settings: commands.SampleTarget) -> list[Step]:
    """The steps and what each needs."""
    keys = [field.name for field in dataclasses.fields(config.Chains)]
    chains = config.Chains(**{key: getattr(settings, key) for key in keys})
    support_of(chains)  # refuses what it cannot be before any step starts
    place, is_here = settings.store or settings.root, settings.cluster.address is None

    def check(chains: config.Chains) -> None:
        require_room(chains, chains.dim, TARGET_ITEM_BYTES, place, is_here)

    return [
        Step("sample", sample_target, chains, artifacts.Samples, (), key_of, settings.store, check),
        Step("evaluate", evaluate, config.Evaluate(), artifacts.Evaluation, ("sample",)),
        Step("report", report, chains, artifacts.Report, ("sample", "evaluate")),
    ]


def as_run(settings: commands.SampleTarget) -> commands.Run:
    """Where the steps run, and under which name: that of the function."""
    name = settings.target.partition(":")[2]
    return settings.as_run(name)
