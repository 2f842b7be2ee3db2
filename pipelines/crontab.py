"""Our lines in the user's crontab, between two marks; the others stay, and those between the marks move before them."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.store.locks import locked

BEGIN = "# scorefleet begin: `scorefleet schedule` writes the lines up to the end mark"
END = "# scorefleet end"
BLOCK = re.compile(rf"^{re.escape(BEGIN)}\n(.*?)^{END}\n", re.MULTILINE | re.DOTALL)
LINE = re.compile(r".* # scorefleet (\S+)")
CATCH_UP = ("@reboot", "@hourly")
"""When a tick that was missed is looked for."""


def lines_of(name: str, cron: str, command: Sequence[str], catches_up: bool) -> list[str]:
    """What cron is told of one schedule; a % would end the command."""
    words = shlex.join(command).replace("%", r"\%")
    return [f"{when} {words} # scorefleet {name}" for when in (cron, *(CATCH_UP if catches_up else ()))]


def scheduled(text: str) -> dict[str, list[str]]:
    """The lines of our block by the names of their schedules."""
    found: dict[str, list[str]] = {}
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if match := LINE.fullmatch(line):
                found.setdefault(match[1], []).append(line)
    return found


def with_schedules(text: str, schedules: Mapping[str, Sequence[str]]) -> str:
    """`text` with these lines in our block, where it stands or at the end; without a block where there are none."""
    blocks = BLOCK.findall(text)
    if not text.count(BEGIN) == text.count(f"{END}\n") == len(blocks) <= 1:
        raise ServiceError("scorefleet's marks in your crontab do not pair: repair them with `crontab -e`")
    theirs = [line for one in blocks for line in one.splitlines() if not LINE.fullmatch(line)]
    lines = [line for name in sorted(schedules) for line in schedules[name]]
    block = "".join(f"{line}\n" for line in (*theirs, *([BEGIN, *lines, END] if lines else [])))
    if blocks:
        return BLOCK.sub(lambda _: block, text, count=1)
    return text + ("\n" if text and not text.endswith("\n") else "") + block


def change(folder: Path, edit: Callable[[dict[str, list[str]]], Mapping[str, Sequence[str]]]) -> None:
    """Edit our lines in the user's crontab; `folder` has the lock that keeps two edits apart."""
    with locked(folder / "crontab.lock"):
        before = read()
        after = with_schedules(before, edit(scheduled(before)))
        if after != before:
            _crontab("-", given=after)


def read() -> str:
    """The user's crontab."""
    return _crontab("-l", given="")


def _crontab(word: str, given: str) -> str:
    try:
        done = subprocess.run(["crontab", word], input=os.fsencode(given), capture_output=True, check=False)
    except FileNotFoundError:
        raise ServiceError("there is no crontab here: install cron (apt-get install cron)") from None
    if done.returncode == 0:
        return os.fsdecode(done.stdout)  # whatever their encoding, the bytes of others' lines come back
    said = os.fsdecode(done.stderr)
    if word == "-l" and said.startswith("no crontab for"):
        return ""
    raise ServiceError(f"crontab {word}: {' '.join(said.split())[:200]}")
