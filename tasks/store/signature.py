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

from tasks.errors import StorageError, UsageError
from tasks.store import objects
from tasks.store.document import NAME as DATASET
from tasks.store.entry import parse

SIGNATURE = "signature.json"
LARGEST_KEY_BYTES = 16_384


def sign(uri: str, key_file: str) -> None:
    """Write `signature.json` beside `dataset.json`, over an older one; only a store that is proven should be signed."""
    key = private_key(key_file)
    data = objects.read(objects.open_store(uri, writable=False), DATASET)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    document = {"algorithm": "Ed25519", "public_key": public.hex(), "signature": key.sign(data).hex()}
    objects.put_over(objects.open_store(uri), SIGNATURE, json.dumps(document, indent=2).encode())


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
