"""`dataset.json`: what a store is, sealed by a digest of itself, so that no byte of it can change unseen."""

import hashlib
import json
from typing import Any

from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store.entry import parse

NAME = "dataset.json"
SEAL = "document_sha256"


def seal(document: dict[str, Any]) -> bytes:
    """The file of a document, with the sha256 of the document in it."""
    return bytes_of(document | {SEAL: _sha256(document)})


def unseal(where: str, data: bytes) -> dict[str, Any]:
    """The document of `seal`'s file; `StorageError` when it is not byte for byte what was written."""
    document = parse(where, data)
    inside = {key: value for key, value in document.items() if key != SEAL}
    if document.get(SEAL) != _sha256(inside) or data != bytes_of(document):
        raise StorageError(f"{where} is damaged: its {SEAL} is not that of the rest, restore it")
    return document


def bytes_of(document: dict[str, Any]) -> bytes:
    """The very bytes that `unseal` has read a document from."""
    return json.dumps(document, indent=2, allow_nan=False).encode()


def _sha256(document: dict[str, Any]) -> str:
    return hashlib.sha256(bytes_of(document)).hexdigest()
