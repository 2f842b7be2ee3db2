"""Has all data-parallel workers learn at the same step that a node of theirs is about to go."""

import time
from dataclasses import dataclass, field

import ray.train
from ray.train.collective import broadcast_from_rank_zero

ASK_EVERY_S = 2.0
FIRST_AFTER = 10  # steps, after which their pace is known


@dataclass
class Notices:
    """Asks Ray Train, which looks every second, whether a node with a worker is drained. All workers wait for each
    other at a question, so they ask at steps that rank 0 fixes from their pace, some two seconds apart.
    """

    asked_at: int
    """The step behind which training begins, and then that of the last question."""
    _time: float = field(default_factory=time.monotonic)
    _next: int = 0
    _nodes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._next = self.asked_at + FIRST_AFTER

    def came(self, step: int) -> bool:
        """Whether nodes are known since this step to go that were not before: on all workers alike, which all call."""
        if step < self._next:
            return False
        info = ray.train.get_preemption_info()
        now = time.monotonic()
        steps = next_after(step - self.asked_at, now - self._time)
        self.asked_at, self._time, self._next = step, now, step + broadcast_from_rank_zero(steps)
        nodes = frozenset(info.preempted_node_ids if info else ())
        is_news = not nodes <= self._nodes
        self._nodes |= nodes
        return is_news


def next_after(num_steps: int, seconds: float) -> int:
    """After how many steps to ask again, where the last `num_steps` took so long; at most twice as many, since one
    pause of the others says little of their pace.
    """
    return max(1, min(2 * num_steps, round(ASK_EVERY_S * num_steps / seconds)))
