"""Two trainings take turns on the same processors, segment by segment, and say how long each segment was."""

import time
from pathlib import Path

from scorefleet.tasks import config

NUM_SEGMENTS, SEGMENT = 17, 20  # of steps; the first segment warms up
SIDES = ("Ray Train", "torchrun")
NUM_STEPS = NUM_SEGMENTS * SEGMENT + 1  # the last ends the last segment
WIDTH, TIME_SCORE_WEIGHT = 512, 0.1
SETTINGS = config.Train(
    num_workers=2,
    num_steps=NUM_STEPS,
    batch_size=1024,
    width=WIDTH,
    energy="scalar_head",
    time_score_weight=TIME_SCORE_WEIGHT,
    dropout=0.0,
    augmentation=0.0,
    checkpoint_every=10**9,
)


class Turns:
    """One side's worker; files in a folder that both sides see say whose turn it is."""

    def __init__(self, folder: Path, side: str, rank: int):
        self._folder, self._side, self._rank, self._start = folder, side, rank, 0.0

    def take(self, step: int) -> None:
        """Before each step: at the end of a segment leave its seconds, and wait for the next turn."""
        segment, within = divmod(step, SEGMENT)
        if within:
            return
        turn = len(SIDES) * segment + SIDES.index(self._side)
        if segment and self._rank == 0:
            (self._folder / f"{self._side} {segment - 1}").write_text(str(time.perf_counter() - self._start))
            (self._folder / f"turn {turn - len(SIDES) + 1}").touch()
        while segment < NUM_SEGMENTS and not (self._folder / f"turn {turn}").exists():
            time.sleep(0.002)
        self._start = time.perf_counter()


def seconds_of(folder: Path, side: str) -> list[float]:
    """Those of every segment but the first."""
    return [float((folder / f"{side} {segment}").read_text()) for segment in range(1, NUM_SEGMENTS)]
