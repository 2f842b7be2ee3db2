"""The main pipeline: from data to certified samples and a page that shows them.

1. prepare    read and check the data, split it, keep it as Arrow
2. train      fit a noise-conditioned energy by denoising score matching
3. sample     run fleets of Metropolis-adjusted Langevin chains down the noise levels
4. normalise  find log Z, which makes likelihoods of energies
5. evaluate   judge the chains, then the draws against held-out rows
6. register   record the model in MLflow, as the champion if it is the first whose chains converged
7. report     draw the page
"""

from functools import partial

from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.dag import artifacts
from scorefleet.tasks.dag.dag import Step, imported
from scorefleet.tasks.data.prepare import check_data, prepare
from scorefleet.tasks.data.source import source_digest
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.fleet.capacity import MODEL_ITEM_BYTES, require_room
from scorefleet.tasks.registry.register import Record, register
from scorefleet.tasks.registry.register import check as check_experiment
from scorefleet.tasks.sampling.descent import Descent
from scorefleet.tasks.store.places import folder_of

train, sample = imported("scorefleet.tasks.training.train:train"), imported("scorefleet.tasks.sampling.sample:sample")
normalise = imported("scorefleet.tasks.sampling.normalise:normalise")
evaluate, report = (
    imported("scorefleet.tasks.judging.evaluate:evaluate"),
    imported("scorefleet.tasks.reports.report:report"),
)


def steps(run: commands.Run) -> list[Step]:
    """The steps and what each needs; a model that is a score alone has no density to normalise."""
    normaliser = Step("normalise", normalise, Descent.of(run.normalise, run.sample), artifacts.Normaliser, ("train",))
    density = [] if run.train.energy == "score_only" else [normaliser]
    refuses = partial(check_data, seed=run.seed)
    judged = ("prepare", "train", "sample", *(step.name for step in density))
    return [
        Step("prepare", prepare, run.prepare, artifacts.Dataset, reads=source_digest, check=refuses),
        Step(
            "train",
            train,
            run.train,
            artifacts.Model,
            ("prepare",),
            _reads,
            check=partial(_require_alone, run.cluster),
            scratch=artifacts.CHECKPOINTS,
        ),
        Step("sample", sample, run.sample, artifacts.Samples, ("train",), place=run.store, check=partial(_check, run)),
        *density,
        Step("evaluate", evaluate, run.evaluate, artifacts.Evaluation, judged),
        Step(
            "register",
            register,
            Record.of(run),
            artifacts.Registration,
            ("prepare", "train", "sample", "evaluate", *(step.name for step in density)),
            check=partial(check_experiment, root=folder_of(run.root)),
        ),
        Step("report", report, run.report, artifacts.Report, ("prepare", "train", "sample", "evaluate")),
    ]


def _require_alone(cluster: config.Cluster, train: config.Train) -> None:
    if cluster.num_actors == 0 and train.workers != (1, 1):
        raise UsageError(
            f"train.num_workers is {train.num_workers}, but cluster.num_actors 0 has everything in this process: set "
            "train.num_workers to 1"
        )


def _reads(train: config.Train) -> str:
    """What training reads beside the data."""
    if train.known_score is None:
        return ""
    from scorefleet.tasks.user_code import known_score

    return known_score.digest_of(train.known_score)


def _check(run: commands.Run, chains: config.Sample) -> None:
    """Refuse chains that do not fit the model that is to be trained, or that have no room, whatever the data are."""
    if run.train.energy == "score_only":
        from scorefleet.tasks.sampling.sample import require_kernel

        require_kernel(chains, has_density=False)
    require_room(chains, 1, MODEL_ITEM_BYTES, run.store or run.root, run.cluster.address is None)
