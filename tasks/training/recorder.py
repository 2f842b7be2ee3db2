"""What training says of itself: a progress line, and metrics in the journal."""

from collections.abc import Sequence

from scorefleet.tasks.fleet.progress import Progress
from scorefleet.tasks.records.journal import Journal

Message = tuple[int, dict[str, float]]
"""The metrics of a step."""


class Recorder:
    """Steps that are repeated, since training went on from a checkpoint before them, are in the journal once."""

    def __init__(self, num_steps: int, journal: Journal):
        self._journal = journal
        self._progress = Progress("train", num_steps, "steps")
        entries = [entry for entry in journal.read(0)[0] if entry["kind"] == "metrics"]
        self._recorded = {(key, entry["step"]) for entry in entries for key in entry["values"]}

    def record(self, messages: Sequence[Message]) -> None:
        """Write down the metrics of some steps, and show the last."""
        for step, metrics in messages:
            news = {key: value for key, value in metrics.items() if (key, step) not in self._recorded}
            if news:
                self._journal.metrics(news, step)
                self._recorded |= {(key, step) for key in news}
        step, metrics = messages[-1]
        note = ", ".join(f"{name.rpartition('/')[2].replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
        self._progress.update(step, note)
