"""The command `scorefleet`."""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from jsonargparse import ArgumentParser, Namespace

from pipelines import stores
from pipelines.flow import Flow
from pipelines.options import parse, parser_of
from tasks import config
from tasks.errors import UsageError, UserError
from tasks.secure import secure_ray

USAGE = """usage: scorefleet COMMAND [CONFIG.yaml] [--key value ...]

commands:
  run        data -> trained energy -> samples, verdict, registered model, report
  generate   a registered model, or a composition of some -> samples, verdict
  retrain    new data -> a challenger, which replaces the champion if it is better
  rollback   give the champion's place back to the one before
  sample     your own log density -> samples, verdict, report
  verify     prove that a store of samples is whole, or name what is damaged
  repair     draw missing and damaged shards again
  replay     draw one shard again and compare
  audit      replay some shards, and say what that proves of all

`scorefleet COMMAND --help` lists every key with its type, default and meaning."""


INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM, which stops a command as Ctrl-C does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; a mistake that the user can mend is one line on standard error and its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        if not words or words[0] in ("-h", "--help"):
            print(USAGE)
            return 0 if words else UsageError.exit_code
        command = COMMANDS.get(words[0])
        if command is None:
            raise UsageError(f"unknown command {words[0]!r}: it must be {' or '.join(COMMANDS)}")
        return command(words[1:])
    except UserError as error:
        reason = getattr(error, "cause", error)  # what a remote worker raised comes wrapped in where it did
        print(f"scorefleet: {reason}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        where = f" with {stop.args[0]}" if stop.args else ""
        print(f"scorefleet: stopped{where}; the same command goes on from here", file=sys.stderr)
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


def run(arguments: Sequence[str]) -> int:
    """`scorefleet run`."""
    parser = parser_of("run", config.Run, "Train an energy on data, draw samples from it, judge them, and show them.")
    _add_flow(parser)
    settings, parsed = parse(parser, config.Run, arguments)
    if not settings.prepare.data:
        raise UsageError("nothing to learn from: give --data FILE, or a configuration with prepare.data")
    secure_ray(is_own=settings.cluster.address is None)
    from pipelines import runner, train_and_sample  # seconds of Ray and torch, for which --help need not wait

    return runner.run(train_and_sample.steps(settings), settings, _flow_of(parsed))


def retrain(arguments: Sequence[str]) -> int:
    """`scorefleet retrain`."""
    parser = parser_of(
        "retrain",
        config.Run,
        "Where the data or the configuration are not the champion's: train a challenger, judge both on the same "
        "held-out rows, and move the alias if the challenger is better.",
    )
    _add_flow(parser)
    accept = "Go on with these data although they have drifted from the champion's."
    parser.add_argument("--accept-drift", action="store_true", help=accept)
    settings, parsed = parse(parser, config.Run, arguments)
    if not settings.prepare.data:
        raise UsageError("nothing to learn from: give --data FILE, or a configuration with prepare.data")
    secure_ray(is_own=settings.cluster.address is None)
    from pipelines import ticks

    return ticks.retrain(settings, _flow_of(parsed), parsed.accept_drift)


def rollback(arguments: Sequence[str]) -> int:
    """`scorefleet rollback`."""
    parser = stores.Parser("rollback", "Give the alias back to the champion before this one.", "NAME", "The model.")
    parser.add_argument("--root", default="./runs", help="Folder under which everything is kept; ./runs if not given.")
    parser.add_argument("--tracking-uri", help="MLflow tracking server; a file under the root if not given.")
    parser.add_argument("--alias", default=config.Register().alias, help="The alias, champion if not given.")
    given = parser.parse_args(arguments)
    from pipelines import ticks

    register = config.Register(tracking_uri=given.tracking_uri, alias=given.alias)
    return ticks.rollback(given.name, register, given.root, given.summary)


def generate(arguments: Sequence[str]) -> int:
    """`scorefleet generate`."""
    parser = parser_of(
        "generate", config.Generate, "Draw from a registered model or a composition, and judge the chains."
    )
    _add_flow(parser)
    settings, parsed = parse(parser, config.Generate, arguments)
    secure_ray(is_own=settings.cluster.address is None)
    from pipelines import generate as pipeline
    from pipelines import runner

    return runner.run(pipeline.steps(settings), pipeline.as_run(settings), _flow_of(parsed))


def sample(arguments: Sequence[str]) -> int:
    """`scorefleet sample`."""
    parser = parser_of("sample", config.SampleTarget, "Draw from your own log density, judge the draws, show them.")
    _add_flow(parser)
    settings, parsed = parse(parser, config.SampleTarget, arguments)
    secure_ray(is_own=settings.cluster.address is None)
    from pipelines import runner
    from pipelines import sample_target as pipeline

    return runner.run(pipeline.steps(settings), pipeline.as_run(settings), _flow_of(parsed))


def _add_flow(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="Say which steps would run, and run none.")
    parser.add_argument(
        "--from", type=str, default=None, metavar="STEP", help="Run this step and those after it again."
    )
    parser.add_argument("--force", action="store_true", help="Run every step again.")
    parser.add_argument(
        "--summary", type=str, default=None, metavar="FILE", help="Write what the last lines say as JSON."
    )
    parser.add_argument(
        "--sign", type=str, default=None, metavar="KEYFILE", help="Sign the samples with an Ed25519 private key."
    )


def _flow_of(parsed: Namespace) -> Flow:
    return Flow(parsed.dry_run, parsed["from"], parsed.force, parsed.summary, parsed.sign)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run,
    "retrain": retrain,
    "rollback": rollback,
    "generate": generate,
    "sample": sample,
    "verify": stores.verify,
    "repair": stores.repair,
    "replay": stores.replay,
    "audit": stores.audit,
}

if __name__ == "__main__":
    sys.exit(main())
