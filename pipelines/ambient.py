"""Names the settings of MLflow, Ray and AWS that stand in the environment and are not used, and what is used instead.

A configuration means the same wherever it runs, tonight and on a cluster, so such variables decide nothing. Their
values may be secrets and are not printed.
"""

from collections.abc import Iterator, Mapping

from scorefleet.tasks.config import commands
from scorefleet.tasks.store import bucket

WHERE = "runs are recorded where register.tracking_uri points, a file under the root if it is not given"
REASONS = {
    "MLFLOW_REGISTRY_URI": f"models are registered where {WHERE.removeprefix('runs are recorded where ')}",
    "MLFLOW_RUN_ID": "a run of MLflow belongs to one configuration and its data, and is found again by their key",
    "MLFLOW_EXPERIMENT_ID": "runs are recorded in the experiment that register.experiment names",
    "MLFLOW_RUN_NAME": "a run of MLflow has the name of its model; set name",
    "RAY_NAMESPACE": "no actor has a name that a namespace would keep apart",
}


def unused(run: commands.Run, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each variable that is set and decides nothing in this run."""
    reasons = dict(REASONS)
    if run.register.tracking_uri is None:
        reasons["MLFLOW_TRACKING_URI"] = f"{WHERE}; set SCOREFLEET_REGISTER__TRACKING_URI"
    if run.register.experiment == type(run.register)().experiment:
        reasons["MLFLOW_EXPERIMENT_NAME"] = "set SCOREFLEET_REGISTER__EXPERIMENT"
    if run.cluster.address is None:
        reasons["RAY_ADDRESS"] = "a Ray of its own is started; set --cluster.address auto, or to HOST:PORT"
    if run.store and run.store.startswith(bucket.SCHEME):
        reasons["AWS_PROFILE"] = "buckets are opened by AWS_ACCESS_KEY_ID and its like, or by the machine's role"
    for name in sorted(reasons):
        if environment.get(name):
            yield f"{name} is set and not used: {reasons[name]}"
