"""Kubernetes from a pod of its own, whose image has no kubectl: by the key of the pod's service account.

No proxy of the environment is asked and no redirect followed, which would see the key.
"""

import json
import os
import re
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from ssl import create_default_context

from scorefleet.pipelines.launchers.kubernetes_errors import refusal
from scorefleet.tasks.errors import ServiceError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
METHODS = {"create": "POST", "replace": "PUT", "get": "GET", "delete": "DELETE"}
TOKEN = re.compile(r"[\w.~+/=-]+", re.ASCII)
ANSWER_S = 60.0
BY = "the service account of this pod"


def is_here() -> bool:
    return {HOST, PORT} <= os.environ.keys() and (ACCOUNT / "token").is_file()


def call(verb: str, path: str, document: str | None) -> str:
    """What is answered to create, replace, get or delete; else one of `kubernetes_errors`."""
    try:
        code, answer = _ask(METHODS[verb], path, document)
    except (OSError, HTTPException) as error:
        raise refusal(None, f"no answer from {os.environ[HOST]}: {error or type(error).__name__}", BY) from error
    if code < 300:
        return answer
    reason, line = _status(answer)
    raise refusal(reason, line or f"HTTP status {code}", BY)


def _ask(method: str, path: str, document: str | None) -> tuple[int, str]:
    authority = create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    server = HTTPSConnection(os.environ[HOST], int(os.environ[PORT]), timeout=ANSWER_S, context=authority)
    headers = {"Authorization": f"Bearer {_token()}", "Content-Type": "application/json"}
    try:
        server.request(method, path, document and document.encode(), headers)
        answer = server.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        server.close()


def _token() -> str:
    """Read for each call, since Kubernetes puts another there before it ends."""
    token = (ACCOUNT / "token").read_text(encoding="utf-8", errors="replace").strip()
    if not TOKEN.fullmatch(token):  # what sends a header would repeat it in its complaint
        raise ServiceError(f"Kubernetes by {BY}: its file holds no token")
    return token


def _status(answer: str) -> tuple[str | None, str]:
    """The reason and the line of a `Status`; what is none was not said by Kubernetes."""
    try:
        status = json.loads(answer)
        return status["reason"], status["message"]
    except (ValueError, KeyError, TypeError):
        return None, ""
