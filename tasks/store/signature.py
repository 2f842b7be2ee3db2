"""Signatures of a store: Ed25519 (RFC 8032) over the bytes of `dataset.json`, which proves all the rest.

The private key is read from a PEM file that nobody but its owner may read, is used and is forgotten.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from obstore.store import ObjectStore

from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.document import NAME as DATASET
from scorefleet.tasks.store.document import bytes_of
from scorefleet.tasks.store.entry import parse

SIGNATURE = "signature.json"
LARGEST_KEY_BYTES = 16_384


def sign(uri: str, key_file: str, proven: dict[str, Any]) -> None:
    """Write `signature.json`: of the bytes of `dataset.json` that said what was proven, whatever stands there by now.

    It replaces an older one of the same key; `UsageError` where another key has signed.
    """
    key = private_key(key_file)
    document = {"algorithm": "Ed25519", "public_key": _hex(key), "signature": key.sign(bytes_of(proven)).hex()}
    data = json.dumps(document, indent=2).encode()
    objects.put_instead(objects.open_store(uri), SIGNATURE, data, lambda there: _is_older(uri, there, key))


def require_own(uri: str, key_file: str) -> None:
    """Refuse a key that cannot be used, or a store that another key has signed."""
    key, store = private_key(key_file), objects.open_store(uri, writable=False)
    if objects.exists(store, SIGNATURE):
        _is_older(uri, objects.read(store, SIGNATURE), key)


def _is_older(uri: str, there: bytes, key: Ed25519PrivateKey) -> bool:
    """That a signature may be replaced: by its own key, and by no other."""
    owner = parse(SIGNATURE, there).get("public_key")
    if owner != _hex(key):
        raise UsageError(
            f"{uri} is signed by another key (public key {str(owner)[:16]}...): leave it signed so, without --sign and "
            f"SCOREFLEET_SIGN, or remove its {SIGNATURE} first"
        )
    return True


def _hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def is_current(store: ObjectStore) -> bool:
    """Whether the signature is one of `dataset.json` as it is, by whosever key is written in it."""
    try:
        document = parse(SIGNATURE, objects.read(store, SIGNATURE))
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(document.get("public_key"))))
        _verify(key, document, store)
    except (InvalidSignature, ValueError, StorageError):
        return False
    return True


def check(uri: str, key_file: str) -> None:
    """`StorageError` unless the owner of a public key signed `dataset.json` as it is."""
    key = _public_key(Path(key_file))
    store = objects.open_store(uri, writable=False)
    if not objects.exists(store, SIGNATURE):
        raise StorageError(f"{SIGNATURE} is missing: nobody signed the store")
    document = parse(SIGNATURE, objects.read(store, SIGNATURE))
    try:
        _verify(key, document, store)
    except (InvalidSignature, ValueError) as error:
        raise StorageError(f"{SIGNATURE} is no signature of {DATASET} by the owner of {key_file}") from error


def _verify(key: Ed25519PublicKey, document: dict[str, Any], store: ObjectStore) -> None:
    """`InvalidSignature` or `ValueError` unless the document signs `dataset.json` as it is."""
    key.verify(bytes.fromhex(str(document.get("signature"))), objects.read(store, DATASET))


def private_key(key_file: str) -> Ed25519PrivateKey:
    """The key in a file; `UsageError` when others can read it or it is of another kind."""
    path = Path(key_file)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(LARGEST_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"key {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise UsageError(f"key {path} can be read by others (mode {mode:04o}): chmod 600 it, and think of a new one")
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        # Without the error that was raised: what it says may quote the file.
        raise UsageError(f"key {path} is no Ed25519 private key in PEM without a password: openssl genpkey makes one")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes()[:LARGEST_KEY_BYTES])
    except OSError as error:
        raise UsageError(f"key {path} cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"key {path} is no Ed25519 public key in PEM: openssl pkey -pubout makes one from yours")
    return key
