"""Replays shards chosen at random, and says how many wrong ones can have escaped."""

from dataclasses import dataclass

import numpy as np

from scorefleet.tasks.audit.replay import Replay, Source, replay
from scorefleet.tasks.store.confidence import CONFIDENCE, fewest_excluded


@dataclass(frozen=True)
class Audit:
    """Shards that were replayed, of how many."""

    num_shards: int
    replays: tuple[Replay, ...]

    @property
    def wrong(self) -> tuple[Replay, ...]:
        """Replays that came out otherwise than what is recorded."""
        return tuple(one for one in self.replays if one.reasons)

    def __str__(self) -> str:
        num_chosen, num_wrong = len(self.replays), len(self.wrong)
        if num_wrong:
            return f"{num_wrong} of {num_chosen} replayed shards differ"
        if num_chosen == self.num_shards:
            return f"all {num_chosen} shards replayed, all the same"
        excluded = fewest_excluded(self.num_shards, num_chosen)
        assert excluded is not None
        most = f"fewer than {excluded:,} ({excluded / self.num_shards:.2%}) are wrong"
        chosen = f"{num_chosen:,} of {self.num_shards:,} shards replayed, all the same"
        return f"{chosen}: with {CONFIDENCE:.0%} confidence {most}"


def audit(source: Source, num_shards: int, seed: int) -> Audit:
    """Replay so many shards, drawn without replacement by a seed, or all if there are no more."""
    places = sorted(source.entries)
    chosen = np.random.default_rng(seed).choice(len(places), min(num_shards, len(places)), replace=False)
    return Audit(len(places), tuple(replay(source, *places[index]) for index in sorted(chosen.tolist())))
