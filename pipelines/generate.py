"""Samples from a registered model, or a composition of some, without training.

1. fetch     the models' files from the registry
2. sample    run fleets of Metropolis-adjusted Langevin chains down the noise levels
3. evaluate  judge the chains
"""

import dataclasses

from tasks import artifacts, config
from tasks.dag import Step
from tasks.evaluate import judge_chains
from tasks.fetch import fetch, versions_of
from tasks.sample import sample


def steps(settings: config.Generate) -> list[Step]:
    """The steps and what each needs."""
    num_chains = -(-settings.num_samples // settings.sample.num_draws)
    chains = dataclasses.replace(settings.sample, num_chains=num_chains)
    return [
        Step("fetch", fetch, settings, artifacts.Model, reads=versions_of),
        Step("sample", sample, chains, artifacts.Samples, ("fetch",), place=settings.store),
        Step("evaluate", judge_chains, settings.evaluate, artifacts.Evaluation, ("sample",)),
    ]


def as_run(settings: config.Generate) -> config.Run:
    """Where the steps run, and under which name: that of the model."""
    name = settings.model.removeprefix("models:/").partition("@")[0].partition("/")[0]
    return config.Run(
        name=name,
        root=settings.root,
        seed=settings.seed,
        register=settings.register,
        cluster=settings.cluster,
    )
