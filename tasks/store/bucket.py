"""Buckets that speak the protocol of S3, such as AWS's or Ceph's.

Credentials, endpoint and region come from the standard environment variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and AWS_REGION, or from the machine's role, and are never written anywhere. What S3
has answered with success is durable. A request that fails for want of the service is sent again, AWS_MAX_ATTEMPTS
times in all, for RETRY_S seconds.
"""

import os
import re
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError
from obstore.store import ObjectStore, S3Store

from scorefleet.tasks.errors import StorageError, UsageError

SCHEME = "s3://"
RETRY_S, REQUEST_S, CONNECT_S = 150, 60, 10
MAX_ATTEMPTS, FIRST_WAIT_S, LONGEST_WAIT_S = 12, 0.1, 15.0
"""Waits double; twelve attempts at a server that refuses connections take 70 s."""

FULL = ("QuotaExceeded", "507 Insufficient Storage")
"""How a bucket that is full is said to be that, by Ceph and by others."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]{1,40})")
_PERMANENT = re.compile(r"status code: 4(?!09|29)\d\d")
_opened: dict[str, tuple[int, S3Store]] = {}

T = TypeVar("T")


def canonical(uri: str) -> str:
    """`s3://bucket/path` without a slash behind it; `UsageError` for what is no such place, or holds a password."""
    if "@" in uri:  # not shown, since what stands before it may be a secret
        raise UsageError("the URI of a bucket holds an @: credentials belong in AWS_ACCESS_KEY_ID and its like")
    bucket, _, prefix = uri.removeprefix(SCHEME).rstrip("/").partition("/")
    is_plain = not any(part in ("", ".", "..") for part in prefix.split("/")) or not prefix
    if not _BUCKET.fullmatch(bucket) or not is_plain or re.search(r"[?#%\\\s]", prefix):
        raise UsageError(f"{uri} cannot be opened: it must be s3://BUCKET/PATH, without .., ?, # and blanks")
    return f"{SCHEME}{bucket}/{prefix}".rstrip("/")


def open_bucket(uri: str) -> S3Store:
    """A place in a bucket, with one client a process; sends nothing yet. `StorageError` in a forked process."""
    uri = canonical(uri)
    pid, store = _opened.get(uri, (os.getpid(), None))
    if pid != os.getpid():
        raise StorageError(f"{uri} was opened before this process was forked: start workers by spawn or forkserver")
    if store is None:
        bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
        store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": _endpoint().startswith("http://"),
                "timeout": timedelta(seconds=REQUEST_S),
                "connect_timeout": timedelta(seconds=CONNECT_S),
            },
            retry_config={"max_retries": 0},  # `attempt` does, which also sends conditional puts again
        )
        _opened[uri] = (pid, store)
    return store


def forget(uri: str) -> None:
    """The next opening makes a new client, from the environment as it is then."""
    _opened.pop(canonical(uri), None)


def prove_writable(store: S3Store, uri: str) -> None:
    """Write, write again, and remove: `StorageError` where that is refused, or where conditions are passed over, so
    that of two writers the second would overwrite the first.
    """
    probe = f".{secrets.token_hex(8)}.probe"
    attempt(lambda: obstore.put(store, probe, b"scorefleet"))
    conditions = ("create", {"e_tag": "0" * 32})
    is_kept = all(attempt(lambda mode=mode: _is_refused(store, probe, mode)) for mode in conditions)
    attempt(lambda: obstore.delete(store, probe))
    if not is_kept:
        raise StorageError(f"{uri} cannot be used: its server takes no notice of If-None-Match or If-Match")


def _is_refused(store: S3Store, path: str, mode: Any) -> bool:
    try:
        obstore.put(store, path, b"another", mode=mode)
    except (AlreadyExistsError, PreconditionError):
        return True
    return False


def put_over(store: ObjectStore, path: str, data: bytes, e_tag: str) -> None:
    """Replace what has this ETag; `PreconditionError` when it has another by now.

    Ceph and others compare the header with the bare ETag, others with the quoted one, as RFC 9110 has it.
    """
    bare = e_tag.strip('"')
    try:
        attempt(lambda: obstore.put(store, path, data, mode={"e_tag": bare}))
    except PreconditionError:
        attempt(lambda: obstore.put(store, path, data, mode={"e_tag": f'"{bare}"'}))


def attempt(request: Callable[[], T]) -> T:
    """What a request returns, sent again when there was no answer or the server said that it cannot now.

    A put that had arrived before its connection broke finds itself when it is sent again, which looks like having
    lost a race to another writer of the same bytes.
    """
    deadline, wait_s = time.monotonic() + RETRY_S, FIRST_WAIT_S
    for _ in range(_attempts() - 1):
        try:
            return request()
        except GenericError as error:
            if _PERMANENT.search(str(error)) or time.monotonic() + wait_s > deadline:
                raise
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
    return request()


def reason_of(error: Exception) -> str:
    """What went wrong in a few words: a server's own code or status, and never its answer, which may quote a key."""
    text = str(error).partition("\n\nDebug source")[0]
    if "/latest/api/token" in text or "Missing" in text:
        return "there are no credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
    code, status = _CODE.search(text), _STATUS.search(text)
    if code:
        return "there is no such bucket" if code[1] == "NoSuchBucket" else code[1]
    return status[1].strip() if status else text.rpartition(" - ")[2].splitlines()[0][:120]


def remedy_of(error: Exception) -> str:
    """What to do about it."""
    if reason_of(error) in FULL:
        return "make room in the bucket, or have its quota raised"
    if isinstance(error, GenericError) and not _PERMANENT.search(str(error)) and "credentials" not in reason_of(error):
        return "when the server answers again, the same command goes on"
    return "check the bucket, its policy, AWS_ENDPOINT_URL, AWS_REGION and the AWS_* credentials"


def _endpoint() -> str:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _attempts() -> int:
    text = os.environ.get("AWS_MAX_ATTEMPTS", str(MAX_ATTEMPTS))
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"AWS_MAX_ATTEMPTS must be a whole number of at least 1, but got {text!r}")
    return int(text)
