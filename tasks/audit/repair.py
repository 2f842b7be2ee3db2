"""Puts a store right: what is missing or damaged is made again, and kept only when it is proven to be what was there.

Records and the manifest follow from each other. Shards and states are drawn again, block by block in the order of their
segments, from the last state that is whole or from the block's start. Each file appears whole or not at all, so that a
repair that is killed can be started again.
"""

import hashlib
from collections.abc import Callable

from obstore.store import ObjectStore

from scorefleet.tasks.audit.replay import Source, changes_since, open_source, warm_up_again
from scorefleet.tasks.errors import StorageError, UsageError
from scorefleet.tasks.fleet.origin import ORIGIN, to_bytes
from scorefleet.tasks.sampling.sample_target import WARM
from scorefleet.tasks.store import objects
from scorefleet.tasks.store.entry import Entry, commit_path, to_record
from scorefleet.tasks.store.extents import extension_files
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import manifest_path, to_manifest, to_safetensors
from scorefleet.tasks.store.shards import logical_digest, to_parquet
from scorefleet.tasks.store.verify import Proof, verify

Say = Callable[[str], None]


def repair(uri: str, model: str | None, say: Say) -> Proof:
    """Make a store whole and prove it again; `StorageError` for what no replay brings back."""
    proof = verify(uri)
    if proof.is_whole:
        return proof
    hopeless = [finding for finding in proof.findings if finding.kind == "wrong"]
    if not proof.entries or hopeless:
        raise StorageError(f"cannot be repaired: {(hopeless or proof.findings)[0]}; run what made the store again")
    store = objects.open_store(uri)
    _repair_records(store, proof, say)
    _repair_beginnings(store, proof, say)
    broken = _broken_segments(proof)
    if broken or _has(proof, WARM):
        _refuse_changes(proof)
        if _has(proof, WARM):
            _keep(store, WARM, warm_up_again(proof.description), proof.description["files"][WARM], say)
        source = open_source(uri, model)
        for entry in broken:
            _remake(store, source, entry, {finding.what for finding in proof.findings}, say)
    return verify(uri)


def _has(proof: Proof, what: str) -> bool:
    return any(finding.what == what for finding in proof.findings)


def _broken_segments(proof: Proof) -> list[Entry]:
    """Those whose shard or state is to be made again, in an order in which that can be."""
    broken = {
        (finding.entry.block, finding.entry.segment): finding.entry
        for finding in proof.findings
        if finding.entry is not None and finding.what in (finding.entry.path, finding.entry.state_path)
    }
    return [broken[place] for place in sorted(broken)]


def _refuse_changes(proof: Proof) -> None:
    """Rows drawn by other code or libraries would not be those that are lost."""
    changes = changes_since(proof.description, None)
    if changes:
        raise UsageError(f"the shards cannot be made again here: {'; '.join(changes)}: use what made them")


def _repair_beginnings(store: ObjectStore, proof: Proof, say: Say) -> None:
    """What began the store, and what it was extended to."""
    files = extension_files(Layout.of(proof.description).extents)
    if "origin" in proof.description:
        files[ORIGIN] = to_bytes(proof.description["origin"])
    for path, data in files.items():
        if _has(proof, path):
            _keep(store, path, data, proof.description["files"][path], say)


def _repair_records(store: ObjectStore, proof: Proof, say: Say) -> None:
    """The manifest, the commit records, and shards that nothing lists."""
    path = manifest_path(proof.description)
    if _has(proof, path):
        data = to_manifest(proof.entries)
        _keep(store, path, data, proof.description["manifest_sha256"], say)
    for finding in proof.findings:
        if finding.kind == "extra":
            objects.remove(store, finding.what)
            say(f"removed {finding.what}")
        elif finding.entry is not None and finding.what == commit_path(finding.entry.block, finding.entry.segment):
            record = to_record(finding.entry)
            _keep(store, finding.what, record, _sha256(record), say)


def _remake(store: ObjectStore, source: Source, entry: Entry, broken: set[str], say: Say) -> None:
    """A segment's shard, its state, or both."""
    made = source.remake(entry)
    digest = logical_digest(made.table)
    if digest != entry.digest:
        change = (
            "; ".join(changes_since(source.description, entry)) or "code, libraries, compiler and hardware are the same"
        )
        raise StorageError(
            f"{entry.name} came out with other rows, digest {digest[:12]} for {entry.digest[:12]}: {change}"
        )
    if entry.path in broken:
        _keep(store, entry.path, to_parquet(made.table), entry.sha256, say)
    if entry.state_path in broken:
        _keep(store, entry.state_path, to_safetensors(made.state), entry.state_sha256, say)


def _keep(store: ObjectStore, name: str, data: bytes, sha256: str, say: Say) -> None:
    """Write a file, unless it would not be the one that is recorded."""
    if _sha256(data) != sha256:
        raise StorageError(f"{name} made again has other bytes than the recorded ones: use the libraries that wrote it")
    objects.put_over(store, name, data)
    say(f"made {name} again")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
