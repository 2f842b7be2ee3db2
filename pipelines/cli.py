"""The command `scorefleet`."""

import gc
import sys
from collections.abc import Callable, Sequence

from scorefleet.pipelines import lint, stores
from scorefleet.pipelines.ending import code_of
from scorefleet.pipelines.one_line_parser import OneLineParser, call
from scorefleet.pipelines.reading import read
from scorefleet.pipelines.score import score
from scorefleet.pipelines.utf8 import run_in_utf8
from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.fleet.secure import secure_ray

USAGE = """usage: scorefleet COMMAND [CONFIG.yaml] [--key value ...]

commands:
  run        data -> trained energy -> samples, verdict, registered model, report
  generate   a registered model, or a composition of some -> samples, verdict
  retrain    new data -> a challenger, which replaces the champion if it is better
  rollback   give the champion's place back to the one before
  sample     your own log density -> samples, verdict, report
  score      the log density of each row of a table, by a registered model
  submit     one of run, retrain, generate and sample, on a cluster
  jobs       list, follow and stop what was submitted
  schedule   have one of them run every night, here or on a cluster
  lint       check a `ray up` or KubeRay file for unsafe settings
  verify     prove that a store of samples is whole, or name what is damaged
  repair     draw missing and damaged shards again
  replay     draw one shard again and compare
  audit      replay some shards, and say what that proves of all

`scorefleet COMMAND --help` lists every key with its type, default and meaning; --version prints the version.

exit codes: 0 done; 2 wrong usage; 3 data; 4 storage; 5 a service; 6 chains that did not converge; 128 + N signal N"""


TO = (
    "The cluster: http(s)://HOST:PORT of a Ray head's dashboard, or slurm where sbatch is, with its options as in "
    "slurm:partition=gpu,nodes=2,time=12:00:00, or kubernetes:FILE, your copy of deploy/kubernetes/rayjob.yaml."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; a mistake that the user can fix is one line on standard error and its exit code."""
    if arguments is None:
        run_in_utf8()
    words = list(sys.argv[1:] if arguments is None else arguments)
    code = code_of(lambda words: call(COMMANDS, USAGE, words), words)
    if arguments is None:
        gc.freeze()  # the interpreter's end would search all that torch, Ray and MLflow hold for garbage, for seconds
    return code


def run(arguments: Sequence[str]) -> int:
    """`scorefleet run`."""
    given = read("run", commands.Run, arguments)
    secure_ray(is_own=given.settings.cluster.has_own_ray)
    # Seconds of Ray and torch, for which --help need not wait.
    from scorefleet.pipelines import runner, train_and_sample

    return runner.run(train_and_sample.steps(given.settings), given.settings, given.flow)


def retrain(arguments: Sequence[str]) -> int:
    """`scorefleet retrain`."""
    given = read("retrain", commands.Run, arguments)
    secure_ray(is_own=given.settings.cluster.has_own_ray)
    from scorefleet.pipelines import ticks

    return ticks.retrain(given.settings, given.flow, given.accept_drift)


def rollback(arguments: Sequence[str]) -> int:
    """`scorefleet rollback`."""
    parser = stores.Parser("rollback", "Give the alias back to the champion before this one.", "NAME", "The model.")
    parser.add_argument("--root", default="./runs", help="Folder under which everything is kept; ./runs if not given.")
    parser.add_argument("--tracking-uri", help="MLflow tracking server; a file under the root if not given.")
    parser.add_argument("--alias", default=config.Register().alias, help="The alias, champion if not given.")
    given = parser.parse_args(arguments)
    from scorefleet.pipelines import ticks

    try:
        register = config.Register(tracking_uri=given.tracking_uri, alias=given.alias)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return ticks.rollback(given.name, register, given.root, given.summary)


def generate(arguments: Sequence[str]) -> int:
    """`scorefleet generate`."""
    given = read("generate", commands.Generate, arguments)
    secure_ray(is_own=given.settings.cluster.has_own_ray)
    from scorefleet.pipelines import generate as pipeline
    from scorefleet.pipelines import runner

    return runner.run(pipeline.steps(given.settings), pipeline.as_run(given.settings), given.flow, given.settings)


def sample(arguments: Sequence[str]) -> int:
    """`scorefleet sample`."""
    given = read("sample", commands.SampleTarget, arguments)
    secure_ray(is_own=given.settings.cluster.has_own_ray)
    from scorefleet.pipelines import runner
    from scorefleet.pipelines import sample_target as pipeline

    return runner.run(pipeline.steps(given.settings), pipeline.as_run(given.settings), given.flow, given.settings)


def submit(arguments: Sequence[str]) -> int:
    """`scorefleet submit`."""
    parser = OneLineParser(
        "submit", "Run a command on a cluster. Its own words are those of `scorefleet COMMAND --help`."
    )
    parser.usage = "scorefleet submit {run,retrain,generate,sample} [CONFIG.yaml] [--key value ...] --to TO [--detach]"
    parser.add_argument("--to", metavar="TO", required=True, help=TO)
    parser.add_argument("--detach", action="store_true", help="Return when the job is there, and let it go on.")
    parser.add_argument("--tick", metavar="NAME", default="", help="Tells it from equal ones, as a schedule does.")
    given, words = parser.parse_known_args(arguments)
    secure_ray(is_own=False)
    from scorefleet.pipelines import submit

    return submit.submit(words, given.to, given.detach, given.tick)


def schedule(arguments: Sequence[str]) -> int:
    """`scorefleet schedule`."""
    from scorefleet.pipelines import schedule

    return schedule.schedule(arguments)


def jobs(arguments: Sequence[str]) -> int:
    """`scorefleet jobs`."""
    parser = OneLineParser("jobs", "List the jobs of a cluster, or follow or stop one.")
    parser.add_argument("action", nargs="?", choices=("list", "follow", "stop"), default="list", help="list, if none.")
    parser.add_argument("identity", nargs="?", metavar="ID", help="The job, as the list names it.")
    parser.add_argument("--to", metavar="TO", required=True, help=TO)
    given = parser.parse_args(arguments)
    if (given.identity is None) != (given.action == "list"):
        raise UsageError("jobs takes `--to TO` alone, or `follow ID --to TO`, or `stop ID --to TO`")
    secure_ray(is_own=False)
    from scorefleet.pipelines import submit

    return submit.jobs(given.action, given.identity, given.to)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run,
    "retrain": retrain,
    "rollback": rollback,
    "generate": generate,
    "sample": sample,
    "score": score,
    "submit": submit,
    "jobs": jobs,
    "schedule": schedule,
    "lint": lint.lint,
    "verify": stores.verify,
    "repair": stores.repair,
    "replay": stores.replay,
    "audit": stores.audit,
}
