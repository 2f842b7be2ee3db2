"""A champion that is kept up to date: a tick of the schedule, once for every state of the data and configuration.

1. prepare    a snapshot of the data: read, checked, split, kept as Arrow
2. champion   fetch the version that has the alias
3. news       what arrived and departed since its snapshot, and whether the data are still its kind
4. train      fit a challenger, afresh or from the champion's weights
5. sample     its samples
6. normalise  its log Z
7. evaluate   judge its chains and draws
8. register   record it in MLflow
9. judge      challenger and champion on the same held-out rows
10. report    draw its page

Then, when all is recorded and its samples are whole, the alias moves or stays.
"""

import dataclasses

from scorefleet.pipelines import train_and_sample
from scorefleet.tasks.config import commands
from scorefleet.tasks.dag import artifacts
from scorefleet.tasks.dag.dag import Step, imported
from scorefleet.tasks.retraining.champion import Seat, fetch_champion

judge, find_news = (
    imported("scorefleet.tasks.retraining.judge:judge"),
    imported("scorefleet.tasks.retraining.news:find_news"),
)

BEFORE_TRAINING = ("prepare", "champion", "news")


def steps(run: commands.Run, seat: Seat) -> list[Step]:
    """The steps of `run`, of which a warm start changes one, and those that know the champion."""
    made = {step.name: step for step in train_and_sample.steps(run)}
    if run.retrain.warm_steps:
        shorter = dataclasses.replace(run.train, num_steps=run.retrain.warm_steps)
        made["train"] = dataclasses.replace(made["train"], config=shorter, needs=("prepare", "champion"))
    density = ("normalise",) if "normalise" in made else ()
    judged = ("prepare", "train", "sample", "evaluate", "register", "champion", "news", *density)
    return [
        Step("champion", fetch_champion, seat, artifacts.Champion),
        Step("news", find_news, run.retrain, artifacts.News, ("prepare", "champion")),
        *made.values(),
        Step("judge", judge, run.register, artifacts.Judgement, judged),
    ]
