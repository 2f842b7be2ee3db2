"""What listens, and what it says to somebody without the token."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

LISTENER = re.compile(r"^LISTEN +\d+ +\d+ +\[?(?:::ffff:)?([^\s\]]+?)\]?:(\d+) .*?\(\(\"([^\"]+)\"", re.MULTILINE)
EVERYWHERE = ("*", "0.0.0.0", "::")
METRICS = {"GET": "200", "POST": "405", "DELETE": "405"}
"""How a server of metrics answers whoever asks: they are there to be read, and nothing else is."""


class Listener(NamedTuple):
    """A program that listens."""

    address: str
    port: int
    program: str


def of_sockets(said: str) -> list[Listener]:
    """Those that `ss -Hltnp` lists."""
    found = LISTENER.findall(said)
    assert len(found) == len(said.splitlines()), said
    return [Listener(address, int(port), program) for address, port, program in found]


def asked(popen: Callable[..., "subprocess.Popen[str]"], places: Iterable[str]) -> Mapping[str, Any]:
    """What somebody without the token gets from each place."""
    stranger = popen(sys.executable, "-m", "tests.clusters.stranger", *places, stdout=subprocess.PIPE)
    said, _ = stranger.communicate(timeout=300)
    assert stranger.returncode == 0
    return json.loads(said)


def is_metrics(answer: Mapping[str, Any]) -> bool:
    """Whether there is nothing but metrics to be read."""
    met = {(what.partition(" ")[0], status) for what, status in answer["not_refused"]}
    return answer["num_refused"] == 0 and met == set(METRICS.items())


def refuses_all(answer: Mapping[str, Any]) -> bool:
    return answer["num_refused"] > 0 and not answer["not_refused"]
