"""Sends entries of a journal to an MLflow run so that everything is there once, however often it is sent.

Of a (metric, step) that is in the journal twice, which a resumed training leaves, the first counts: it never
changes, so what is sent again after a kill or a timeout is the very row that the server has, and keeps once.
The last would be another row. Their values are equal anyway, since training that resumes repeats itself.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scorefleet.tasks.records.journal import Entry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

MAX_METRICS = 1000  # MLflow's limits for one request
MAX_PARAMS_TAGS = 100

T = TypeVar("T")


class Replay:
    """A run on a server, and what it has already."""

    def __init__(self, client: "MlflowClient", run_id: str):
        self.client, self.run_id = client, run_id
        data = client.get_run(run_id).data
        self._params = set(data.params)
        self._points = {(key, metric.step) for key in data.metrics for metric in client.get_metric_history(run_id, key)}

    def send(self, entries: Sequence[Entry]) -> None:
        """Send what the run does not have; raises what MLflow raises, and may then be called again."""
        for metrics in _chunks(self._new_points(entries), MAX_METRICS):
            self.client.log_batch(self.run_id, metrics=metrics, synchronous=True)
            self._points.update((metric.key, metric.step) for metric in metrics)
        self._send_params(entries)
        self._send_tags(entries)
        for entry in entries:
            # A file that is gone belonged to a step that was run again, which has recorded its own.
            if entry["kind"] == "artifact" and Path(entry["path"]).is_file():
                self.client.log_artifact(self.run_id, entry["path"], entry["folder"])
            if entry["kind"] == "status":
                self.client.set_terminated(self.run_id, entry["values"]["status"], entry["time"])

    def _new_points(self, entries: Sequence[Entry]) -> "Iterator[Metric]":
        from mlflow.entities import Metric

        queued: set[tuple[str, int]] = set()
        for entry in entries:
            if entry["kind"] != "metrics":
                continue
            for key, value in entry["values"].items():
                point = (key, entry["step"])
                if point not in self._points and point not in queued:
                    queued.add(point)
                    yield Metric(key, float(value), entry["time"], entry["step"])

    def _send_params(self, entries: Sequence[Entry]) -> None:
        from mlflow.entities import Param

        values = _values(entries, "params")
        params = (Param(key, value) for key, value in values.items() if key not in self._params)
        for chunk in _chunks(params, MAX_PARAMS_TAGS):
            self.client.log_batch(self.run_id, params=chunk, synchronous=True)
        self._params.update(values)

    def _send_tags(self, entries: Sequence[Entry]) -> None:
        from mlflow.entities import RunTag

        tags = (RunTag(key, value) for key, value in _values(entries, "tags").items())
        for chunk in _chunks(tags, MAX_PARAMS_TAGS):
            self.client.log_batch(self.run_id, tags=chunk, synchronous=True)


def _values(entries: Sequence[Entry], kind: str) -> dict[str, str]:
    """The values of one kind, of several for one key the last; a journal has one of each parameter."""
    return {key: value for entry in entries if entry["kind"] == kind for key, value in entry["values"].items()}


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size`."""
    while chunk := list(islice(items, size)):
        yield chunk
