"""Parsers of words whose every complaint is one line."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from tasks.errors import UsageError


class OneLineParser(argparse.ArgumentParser):
    """argparse, which would otherwise print its usage and end the process."""

    def __init__(self, command: str, description: str):
        super().__init__(f"scorefleet {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def call(commands: Mapping[str, Callable[[Sequence[str]], int]], usage: str, words: Sequence[str]) -> int:
    """What the command returns that the first of the words names; without one, how they are used."""
    if not words or words[0] in ("-h", "--help"):
        print(usage)
        return 0 if words else UsageError.exit_code
    if words[0] not in commands:
        raise UsageError(f"unknown command {words[0]!r}: it must be {' or '.join(commands)}")
    return commands[words[0]](words[1:])
