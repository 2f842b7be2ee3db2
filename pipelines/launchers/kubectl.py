"""Kubernetes by kubectl's raw calls, which need no discovery: the place and user that its current context names."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tasks.errors import ServiceError, UsageError
from tasks.redaction import redact

ANSWER_S = 60.0
REASON = re.compile(r"Error from server(?: \((\w+)\))?: (.*)")


class AlreadyThere(Exception):
    """An object of that name is there."""


class Changed(Exception):
    """The object is another by now."""


class NotThere(Exception):
    """No object of that name is there."""


def create(path: str, document: Mapping[str, Any]) -> None:
    """Make an object; `AlreadyThere` where there is one of its name."""
    _call("create", path, document)


def replace(path: str, document: Mapping[str, Any]) -> None:
    """Put an object over the one that it was read as; `Changed` where that has changed since."""
    _call("replace", path, document)


def get(path: str, **query: str) -> dict[str, Any]:
    """An object, or a list of them; `NotThere` where there is none."""
    return json.loads(read(path, **query))


def read(path: str, **query: str) -> str:
    """What is answered."""
    return _call("get", f"{path}?{urlencode(query)}" if query else path, None)


def _call(verb: str, path: str, document: Mapping[str, Any] | None) -> str:
    if shutil.which("kubectl") is None:
        raise UsageError(
            "--to kubernetes needs kubectl on the PATH: install it, and let its current context name a place"
        )
    words = ["kubectl", verb, "--raw", path, f"--request-timeout={ANSWER_S:.0f}s"]
    words += [] if document is None else ["--filename=-"]
    given = None if document is None else json.dumps(document)
    done = subprocess.run(words, input=given, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip()
    found = REASON.search(said)
    reason, line = (found[1], found[2]) if found else (None, said.rpartition("\n")[2])
    if reason == "AlreadyExists":
        raise AlreadyThere
    if reason == "Conflict":
        raise Changed
    if reason == "NotFound":
        raise NotThere
    if reason == "BadRequest" or "is invalid: " in said:
        raise UsageError(f"Kubernetes refuses it: {redact(line)[:300]}")
    raise ServiceError(f"Kubernetes by kubectl's current context: {redact(line)[:200] or reason}")
