"""A parser of words whose every complaint is one line."""

import argparse
from typing import NoReturn

from tasks.errors import UsageError


class OneLineParser(argparse.ArgumentParser):
    """argparse, which would otherwise print its usage and end the process."""

    def __init__(self, command: str, description: str):
        super().__init__(f"scorefleet {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)
