"""What a step records of its metrics, and what of them is no number."""

import json
import math

from scorefleet.tasks import config
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.judging.evaluate import _publish
from scorefleet.tasks.judging.verdict import Check, Verdict
from scorefleet.tasks.records.journal import Journal


def test_metrics_that_are_not_finite_are_named_beside_those_that_are(tmp_path):
    journal = Journal(tmp_path / "journal" / "x.jsonl")
    context = Context("0" * 64, tmp_path / "evaluate", "x", 0, tmp_path, config.Cluster(), journal)
    metrics = {"a": 1.0, "b": math.nan, "c": math.inf}
    verdict = Verdict((Check("one", "1", "1", True, "It holds."),))
    evaluation = _publish(config.Evaluate(), context, verdict, metrics, {})
    assert evaluation.metrics == {"a": 1.0}
    assert evaluation.not_finite == ("b", "c")
    assert json.loads((tmp_path / "evaluate" / "evaluation.json").read_text())["not_finite"] == ["b", "c"]
    recorded = {key: value for entry in journal.read(0)[0] for key, value in entry["values"].items()}
    assert recorded["not_finite"] == "b, c"
