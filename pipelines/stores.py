"""The commands that prove a sample store: verify, repair, replay, audit."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scorefleet.pipelines.one_line_parser import OneLineParser
from scorefleet.tasks.console import notify, output
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import objects

STORE = "Folder or s3://BUCKET/PATH of the samples."


class Parser(OneLineParser):
    """Every command takes one subject, a store by default, and a file for its summary."""

    def __init__(self, command: str, description: str, subject: str = "STORE", meaning: str = STORE):
        super().__init__(command, description)
        self.add_argument(subject.lower(), metavar=subject, help=meaning)
        self.add_argument("--summary", metavar="FILE", help="Write the outcome as JSON.")

    def add_model(self) -> None:
        """For commands that draw again."""
        self.add_argument("--model", metavar="FOLDER", help="The model's folder, if it is not where it was.")

    def add_number(self, name: str, lowest: int, meaning: str, **options: Any) -> None:
        """A whole number from `lowest` up."""

        def number(text: str) -> int:
            if not text.isdecimal() or int(text) < lowest:
                raise argparse.ArgumentTypeError(f"must be a whole number of at least {lowest}, but got {text!r}")
            return int(text)

        self.add_argument(f"--{name}", type=number, metavar="N", help=meaning, **options)


def verify(arguments: Sequence[str]) -> int:
    """`scorefleet verify`."""
    parser = Parser("verify", "Prove that a store is whole, or name what is missing or damaged.")
    parser.add_argument("--shard", metavar="PATH", help="Only print, as JSON, the proof that a shard is in the store.")
    parser.add_argument(
        "--sign",
        metavar="KEYFILE",
        default=os.environ.get("SCOREFLEET_SIGN"),
        help="Sign the store if it is whole, with an Ed25519 private key; also SCOREFLEET_SIGN.",
    )
    parser.add_argument("--public-key", metavar="FILE", help="Also require the signature of the owner of this key.")
    given = parser.parse_args(arguments)
    from scorefleet.tasks.store import signature  # half a second of Arrow, for which --help need not wait
    from scorefleet.tasks.store.inclusion import inclusion_proof
    from scorefleet.tasks.store.verify import verify

    if given.shard:
        for line in json.dumps(inclusion_proof(given.store, given.shard), indent=2).splitlines():
            output(line)
        return 0
    if given.public_key:
        signature.check(given.store, given.public_key)
    proof = verify(given.store)
    if given.sign and proof.is_whole:
        signature.sign(given.store, given.sign, proof.description)
        output(f"signed: {signature.SIGNATURE}")
    return _report(proof, given.summary)


def repair(arguments: Sequence[str]) -> int:
    """`scorefleet repair`."""
    parser = Parser("repair", "Make what is missing or damaged again, and prove that it is what was there.")
    parser.add_model()
    given = parser.parse_args(arguments)
    from scorefleet.tasks.audit.repair import repair

    return _report(repair(given.store, given.model, notify), given.summary)


def replay(arguments: Sequence[str]) -> int:
    """`scorefleet replay`."""
    parser = Parser("replay", "Draw one shard again and compare it with the one that is there.")
    parser.add_model()
    parser.add_number("block", 0, "Block of chains.", required=True)
    parser.add_number("segment", 0, "Segment of the block.", default=0)
    given = parser.parse_args(arguments)
    from scorefleet.tasks.audit.replay import open_source, replay

    done = replay(open_source(given.store, given.model), given.block, given.segment)
    _say(done)
    return _finish(not done.reasons, {"replays": [_summary(done)]}, given.summary)


def audit(arguments: Sequence[str]) -> int:
    """`scorefleet audit`."""
    parser = Parser("audit", "Draw some shards again, chosen at random, and say what that proves of all of them.")
    parser.add_model()
    parser.add_number("num-shards", 1, "Shards to replay.", required=True)
    parser.add_number("seed", 0, "Which shards are chosen; 0 if not given.", default=0)
    given = parser.parse_args(arguments)
    from scorefleet.tasks.audit.audit import audit
    from scorefleet.tasks.audit.replay import open_source

    done = audit(open_source(given.store, given.model), given.num_shards, given.seed)
    for one in done.wrong:
        _say(one)
    output(str(done))
    outcome = {"num_shards": done.num_shards, "outcome": str(done), "replays": [_summary(one) for one in done.replays]}
    return _finish(not done.wrong, outcome, given.summary)


def _report(proof: Any, summary: str | None) -> int:
    """One line for each thing that is not right, then one for the whole."""
    notes = [*proof.notes, *_changed(proof.description)]
    for line in (*proof.findings, *notes):
        output(str(line))
    total = f"{proof.description.get('num_rows', 0):,} rows in {len(proof.entries):,} shards"
    if proof.is_whole:
        output(f"whole: {total}, digest {proof.description['digest']}")
    else:
        output(f"not whole: {len(proof.findings):,} findings in {total}")
    outcome = {
        "num_rows": proof.description.get("num_rows"),
        "num_shards": len(proof.entries),
        "digest": proof.description.get("digest"),
        "merkle_root": proof.description.get("merkle_root"),
        "findings": [{"kind": one.kind, "what": one.what, "reason": one.reason} for one in proof.findings],
        "notes": notes,
    }
    return _finish(proof.is_whole, outcome, summary)


def _changed(description: dict[str, Any]) -> list[str]:
    """Where the user's density is here: what of all that it read when it drew the rows is another by now."""
    from scorefleet.tasks.user_code import reads, sources

    target, then = description.get("target"), description.get("target_reads")
    if not isinstance(target, str) or not reads.is_valid(then):
        return []
    sources.find_from_here()
    if sources.find(target.partition(":")[0]) is None:
        return []
    return [f"changed since the rows were drawn: {change}" for change in reads.changes(then)]


def _say(replay: Any) -> None:
    """Whether a shard came out the same, and what is other here."""
    verdict = "; ".join(replay.reasons) or (
        "equal" if replay.has_equal_bytes else "equal rows; bytes not compared, as pyarrow is another"
    )
    changes = f" ({'; '.join(replay.changes)})" if replay.changes else ""
    output(f"{replay.entry.name}: {verdict}{changes}")


def _summary(replay: Any) -> dict[str, Any]:
    return {
        "block": replay.entry.block,
        "segment": replay.entry.segment,
        "is_equal": not replay.reasons,
        "reasons": list(replay.reasons),
        "has_equal_bytes": replay.has_equal_bytes,
        "changes": list(replay.changes),
    }


def _finish(is_good: bool, outcome: dict[str, Any], summary: str | None) -> int:
    exit_code = 0 if is_good else StorageError.exit_code
    if summary:
        path = Path(summary)
        data = json.dumps({"is_whole": is_good, **outcome, "exit_code": exit_code}, indent=2)
        objects.replace(path.absolute().parent, path.name, f"{data}\n".encode())
    return exit_code
