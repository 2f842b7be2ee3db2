"""Kubernetes by kubectl's raw calls, which need no discovery: the place and user that its current context names."""

import re
import shutil
import subprocess

from scorefleet.pipelines.launchers.kubernetes_errors import refusal

ANSWER_S = 60.0
REASON = re.compile(r"Error from server(?: \((\w+)\))?: (.*)")


def is_here() -> bool:
    return shutil.which("kubectl") is not None


def call(verb: str, path: str, document: str | None) -> str:
    """What is answered to create, replace, get or delete; else one of `kubernetes_errors`."""
    words = ["kubectl", verb, "--raw", path, f"--request-timeout={ANSWER_S:.0f}s"]
    words += [] if document is None else ["--filename=-"]
    done = subprocess.run(words, input=document, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip()
    found = REASON.search(said)
    reason, line = (found[1], found[2]) if found else (None, said.rpartition("\n")[2])
    raise refusal("Invalid" if "is invalid: " in said else reason, line, "kubectl's current context")
