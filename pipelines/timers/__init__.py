"""What calls at each tick of a schedule: a timer is one file here and one line in `TIMERS`."""

from importlib import import_module

from scorefleet.pipelines.timers.timer import Timer

TIMERS = {"kubernetes": "kubernetes", "slurm": "slurm"}
"""How `--to` begins where a place has a timer of its own, and the module whose `timer(to)` it is; cron elsewhere."""


def timer_of(to: str | None) -> Timer:
    """The timer of the place that runs a schedule: a cluster, or this machine."""
    module = next((module for beginning, module in TIMERS.items() if (to or "").startswith(beginning)), "cron")
    return import_module(f"{__name__}.{module}").timer(to)
