"""The entry point of a job on Kubernetes: `python -m scorefleet.pipelines.launchers.kubernetes_job WORDS`.

Two shells read an entry point before it begins, so the words of the command go as one that no shell alters.
"""

import base64
import json
import os
import sys
from collections.abc import Sequence


def wrapped(words: Sequence[str]) -> str:
    """The words as letters, digits, - and _."""
    return base64.urlsafe_b64encode(json.dumps([*words]).encode()).decode().rstrip("=")


def unwrapped(word: str) -> list[str]:
    """What was `wrapped`."""
    return json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))


if __name__ == "__main__":
    os.execv(sys.executable, [sys.executable, *unwrapped(sys.argv[1])])
