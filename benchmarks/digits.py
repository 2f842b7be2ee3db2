"""The digits: how well draws pass for real rows that training never saw, and what the run costs.

    python -m benchmarks.digits [--long]

Runs the pipeline of `make run`, or with --long that of `digits-long.yaml` (steps that are done are not run again), and
prints its figures beside their targets. AUC
is that of gradient-boosted trees, cross-validated, telling draws from as many held-out rows, both rounded and clipped
as the data are: .5 is chance. Shares of classes are those that a classifier of real rows finds among the draws, over
the real ones.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, report
from scorefleet.pipelines.cli import main as scorefleet

CONFIGS = {False: "pipelines/configs/digits.yaml", True: "pipelines/configs/digits-long.yaml"}
HIGHEST_AUC = {False: 0.78, True: 0.70}


def main() -> int:
    """Run, read the summary, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="./runs")
    parser.add_argument("--long", action="store_true", help="the configuration with more training and more chains")
    options = parser.parse_args()
    config = CONFIGS[options.long]
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        code = scorefleet(["run", config, "--root", options.root, "--summary", file.name])
        summary = json.loads(Path(file.name).read_text())
    metrics, steps = summary["metrics"], summary["steps"].values()
    figures = [
        Figure("exit code", code, 0, 0),
        Figure("classifier two-sample AUC", metrics["quality/auc"], highest=HIGHEST_AUC[options.long]),
        Figure("  its standard error", metrics["quality/auc_standard_error"]),
        Figure("smallest share of a class, over its real one", metrics["quality/class_ratio_min"], lowest=0.5),
        Figure("largest share of a class, over its real one", metrics["quality/class_ratio_max"], highest=2.0),
        Figure("p of draws closer to training rows", metrics["quality/memorisation_p_value"], lowest=0.01),
        Figure("p of draws against the control ladder", metrics["chains/control_p_value"], lowest=1e-3),
        Figure("lowest acceptance of a level", metrics["chains/acceptance_min"], lowest=0.5),
        Figure("highest acceptance of a level", metrics["chains/acceptance_max"], highest=0.65),
        Figure("seconds of all steps", sum(step["seconds"] for step in steps), highest=360),
        Figure("peak memory, GiB", max(step["peak_bytes"] for step in steps) / 2**30, highest=4),
    ]
    return report(config, figures)


if __name__ == "__main__":
    sys.exit(main())
