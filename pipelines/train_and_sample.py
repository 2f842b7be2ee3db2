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

from tasks import artifacts, commands, known_score
from tasks.dag import Step
from tasks.data import source_digest
from tasks.evaluate import evaluate
from tasks.normalise import Descent, normalise
from tasks.prepare import check_data, prepare
from tasks.register import Record, register
from tasks.report import report
from tasks.sample import sample
from tasks.train import RAY, train


def steps(run: commands.Run) -> list[Step]:
    """The steps and what each needs; a model that is a score alone has no density to normalise."""
    normaliser = Step("normalise", normalise, Descent.of(run.normalise, run.sample), artifacts.Normaliser, ("train",))
    density = [] if run.train.energy == "score_only" else [normaliser]
    refuses = partial(check_data, seed=run.seed)
    judged = ("prepare", "train", "sample", *(step.name for step in density))
    return [
        Step("prepare", prepare, run.prepare, artifacts.Dataset, reads=source_digest, check=refuses),
        Step("train", train, run.train, artifacts.Model, ("prepare",), known_score.digest_of, scratch=RAY),
        Step("sample", sample, run.sample, artifacts.Samples, ("train",), place=run.store),
        *density,
        Step("evaluate", evaluate, run.evaluate, artifacts.Evaluation, judged),
        Step(
            "register",
            register,
            Record.of(run),
            artifacts.Registration,
            ("prepare", "train", "sample", "evaluate", *(step.name for step in density)),
        ),
        Step("report", report, run.report, artifacts.Report, ("prepare", "train", "sample", "evaluate")),
    ]
