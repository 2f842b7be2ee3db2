"""Where the draws of a night go."""

import dataclasses

from scorefleet.pipelines.ticks import placed
from scorefleet.tasks import config
from scorefleet.tasks.config import commands

RUN = commands.Run(prepare=config.Prepare("sklearn:wine"), store="s3://bucket/nights/")


def test_draws_of_other_models_go_to_other_folders_and_those_of_one_to_one():
    longer = dataclasses.replace(RUN, sample=config.Sample(num_draws=2))
    warm = dataclasses.replace(RUN, retrain=config.Retrain(warm_steps=5))
    stores = [placed(run, name).store for run in (RUN, longer, warm) for name in ("", "1", "2")]
    assert all(store.startswith("s3://bucket/nights/") and "//" not in store[5:] for store in stores)
    assert stores[0] == stores[1] == stores[2] != stores[3]
    assert len({*stores[6:]}) == 3


def test_draws_stay_under_the_root_where_no_place_is_named():
    bare = dataclasses.replace(RUN, store=None)
    assert placed(bare, "1") is bare
