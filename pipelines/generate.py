"""Samples from a registered model, or a composition of some, without training.

1. fetch     the models' files from the registry
2. sample    run fleets of Metropolis-adjusted Langevin chains down the noise levels
3. evaluate  judge the chains
"""

import dataclasses
import json
import tempfile
from functools import partial
from pathlib import Path

from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.dag import artifacts
from scorefleet.tasks.dag.dag import Step, imported
from scorefleet.tasks.fleet.capacity import MODEL_ITEM_BYTES, require_room
from scorefleet.tasks.registry.fetch import fetch, fetch_into, versions_of
from scorefleet.tasks.sampling.sample import completed, sample

evaluate = imported("scorefleet.tasks.judging.evaluate:judge_chains")


def steps(settings: commands.Generate) -> list[Step]:
    """The steps and what each needs."""
    num_chains = -(-settings.num_samples // settings.sample.num_draws)
    chains = dataclasses.replace(settings.sample, num_chains=num_chains)
    return [
        Step("fetch", fetch, settings, artifacts.Model, reads=versions_of, check=partial(_check, chains)),
        Step("sample", sample, chains, artifacts.Samples, ("fetch",), place=settings.store),
        Step("evaluate", evaluate, settings.evaluate, artifacts.Evaluation, ("sample",)),
    ]


def as_run(settings: commands.Generate) -> commands.Run:
    """Where the steps run, and under which name: that of the model."""
    name = settings.model.removeprefix("models:/").partition("@")[0].partition("/")[0]
    return settings.as_run(name)


def _check(chains: config.Sample, settings: commands.Generate) -> None:
    """Fetch the models into a folder that goes again, and refuse what does not fit them."""
    with tempfile.TemporaryDirectory() as folder:
        dim = json.loads((Path(fetch_into(settings, Path(folder)).uri) / "model.json").read_bytes())["dim"]
        completed(chains, Path(folder))
    require_room(chains, dim, MODEL_ITEM_BYTES, settings.store or settings.root, settings.cluster.address is None)
