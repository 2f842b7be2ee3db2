"""Makes on an MLflow server, once, what MLflow cannot make only if absent: runs, logged models, versions."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
PAUSES_S = (1, 3)

T = TypeVar("T")


def found_or_made(find: Callable[[], T | None], make: Callable[[], T], pauses_s: Sequence[float] = PAUSES_S) -> T:
    """What `find` finds, made if it finds nothing.

    Nothing is asked for twice without a look in between at what a request whose answer was lost has made.
    """
    from mlflow.exceptions import MlflowException

    found = find()
    if found is not None:
        return found
    try:
        with _sent_once():
            return make()
    except MlflowException as error:
        if not pauses_s or error.get_http_status_code() < 500:
            raise
        time.sleep(pauses_s[0])
    return found_or_made(find, make, pauses_s[1:])


_creating = threading.Lock()


@contextmanager
def _sent_once() -> Iterator[None]:
    """Keep MLflow, which reads its settings before each request, from sending one again."""
    with _creating:
        before = os.environ[RETRIES]
        os.environ[RETRIES] = "0"
        try:
            yield
        finally:
            os.environ[RETRIES] = before
