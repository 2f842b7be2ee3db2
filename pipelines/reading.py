"""What the words of a command that runs a pipeline say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from jsonargparse import ArgumentParser

from scorefleet.pipelines.flow import Flow
from scorefleet.pipelines.options import Settings, parse, parser_of, spelled_out
from scorefleet.tasks.config import commands
from scorefleet.tasks.errors import UsageError

DESCRIPTIONS = {
    "run": "Train an energy on data, draw samples from it, judge them, and show them.",
    "retrain": "Where the data or the configuration are not the champion's: train a challenger, judge both on the same "
    "held-out rows, and move the alias if the challenger is better.",
    "generate": "Draw from a registered model or a composition, and judge the chains.",
    "sample": "Draw from your own log density, judge the draws, show them.",
}
SETTINGS = {
    "run": commands.Run,
    "retrain": commands.Run,
    "generate": commands.Generate,
    "sample": commands.SampleTarget,
}


@dataclass(frozen=True)
class Given(Generic[Settings]):
    """A checked configuration, and how to run it; the files it was read from, and the words that say it all without the
    environment.
    """

    settings: Settings
    flow: Flow
    accept_drift: bool
    files: Sequence[Path]
    words: Sequence[str]


def read(command: str, settings_type: type[Settings], arguments: Sequence[str]) -> Given[Settings]:
    """Read the words of a command; what cannot be is a `UsageError`."""
    parser = parser_of(command, settings_type, DESCRIPTIONS[command])
    _add_flow(parser)
    if command == "retrain":
        accept = "Go on with these data although they have drifted from the champion's."
        parser.add_argument("--accept-drift", action="store_true", help=accept)
    settings, parsed = parse(parser, settings_type, arguments)
    if isinstance(settings, commands.Run) and not settings.prepare.data:
        raise UsageError("nothing to learn from: give --data FILE, or a configuration with prepare.data")
    flow = Flow(parsed.dry_run, parsed["from"], parsed.force, parsed.summary, parsed.sign)
    files = [Path(str(file)) for file in parsed.config or []]
    accept_drift = command == "retrain" and parsed.accept_drift
    return Given(settings, flow, accept_drift, files, spelled_out(parser, arguments))


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
