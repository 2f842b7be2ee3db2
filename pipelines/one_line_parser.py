"""Parsers of words whose every complaint is one line."""

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import NoReturn

from scorefleet.tasks.console import output
from scorefleet.tasks.errors import UsageError


class OneLineParser(argparse.ArgumentParser):
    """argparse, which would otherwise print its usage and end the process."""

    def __init__(self, command: str, description: str):
        super().__init__(f"scorefleet {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def call(commands: Mapping[str, Callable[[Sequence[str]], int]], usage: str, words: Sequence[str]) -> int:
    """Return what the command returns that the first of the words names; without one, print how they are used."""
    if not words or words[0] in ("-h", "--help"):
        for line in usage.splitlines():
            output(line)
        return 0 if words else UsageError.exit_code
    if words[0] in ("-V", "--version"):
        output(f"scorefleet {version('scorefleet')}")
        return 0
    if words[0] not in commands:
        close = difflib.get_close_matches(words[0], commands, n=1)
        raise UsageError(
            f"unknown command {words[0]!r}; did you mean {close[0]!r}?"
            if close
            else f"unknown command {words[0]!r}: it must be {', '.join(commands)}"
        )
    return commands[words[0]](words[1:])
