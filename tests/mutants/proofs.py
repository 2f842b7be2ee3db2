"""Bugs in proving, repairing and replaying a store, and in reading one that a stranger made."""

from tests.mutants.mutant import Mutant

DIRECT = "tests/unit/test_direct.py"
CONFIDENCE = "tests/unit/test_confidence.py"
DAMAGE = "tests/faults/test_store_damage.py"
HOSTILE = "tests/unit/test_hostile_store.py"
BOUNDS = "tests/unit/test_bounds.py"
LAYOUT = "tests/unit/test_layout.py"
MERKLE = "tests/unit/test_merkle.py"
READERS = "tests/integration/test_readers.py"
REPLAYING = "tests/unit/test_replay.py"
SIGNATURE = "tests/unit/test_signature.py"
VERIFY = "tests/unit/test_verify.py"

_DIRECT = "tasks/store/direct.py"
_CONFIDENCE = "tasks/store/confidence.py"
_ENTRY = "tasks/store/entry.py"
_LAYOUT = "tasks/store/layout.py"
_BOUNDS = "tasks/store/bounds.py"
_MERKLE = "tasks/store/merkle.py"
_OBJECTS = "tasks/store/objects.py"
_REPAIRING = "tasks/audit/repair.py"
_REPLAYING = "tasks/audit/replay.py"
_SIGNATURE = "tasks/store/signature.py"
_VERIFY = "tasks/store/verify.py"

MUTANTS = (
    # The proof of a store.
    Mutant(
        "verify without the logical digest", _VERIFY, "if _digest_of(table) != entry.digest:", "if False:", (VERIFY,)
    ),
    Mutant("verify without the sha256", _VERIFY, "if hashlib.sha256(data).hexdigest() != sha256:", "if 0:", (DAMAGE,)),
    Mutant("repeated rows pass", _LAYOUT, "int((counts > 1).sum())", "0", (LAYOUT,)),
    Mutant("missing rows pass", _LAYOUT, "int((counts == 0).sum())", "0", (LAYOUT,)),
    Mutant("rows of others pass", _LAYOUT, "int((~is_own).sum())", "0", (LAYOUT,)),
    Mutant("rows of a shard are not looked at", _VERIFY, "if any(rows):", "if False:", (VERIFY,)),
    Mutant("an entry listed twice passes", _VERIFY, "if count > 1]", "if count > 2]", (VERIFY,)),
    Mutant(
        "unlisted shards pass",
        _VERIFY,
        'return [Finding("extra", name, reason) for name in shards], notes',
        "return [], notes",
        (VERIFY,),
    ),
    Mutant(
        "commit records are not looked at",
        _VERIFY,
        "        *_check_file(store, commit_path(entry.block, entry.segment), record, names, entry),\n",
        "",
        (DAMAGE,),
    ),
    Mutant("columns are not compared", _VERIFY, "checked.columns != columns:", "False:", (VERIFY,)),
    Mutant("leaves and nodes of one kind", _MERKLE, 'b"\\x00" + record', 'b"\\x01" + record', (MERKLE,)),
    Mutant("nodes without a prefix", _MERKLE, 'b"\\x01" + left + right', "left + right", (MERKLE,)),
    Mutant("a path with hashes left over", _MERKLE, "        if hashes:\n", "        if False:\n", (MERKLE,)),
    Mutant(
        "paths of records are taken", _ENTRY, "if (entry.path, entry.state_path) != expected:", "if False:", (HOSTILE,)
    ),
    Mutant("infinity is a number", _ENTRY, "if not math.isfinite(number):", "if False:", (HOSTILE,)),
    Mutant("the last of two keys wins", _ENTRY, "if len(mapping) < len(pairs):", "if False:", (HOSTILE,)),
    Mutant(
        "the seal is not looked at",
        "tasks/store/document.py",
        "document.get(SEAL) != _sha256(inside) or ",
        "",
        (DAMAGE,),
    ),
    Mutant("linked files are followed", _OBJECTS, "if stat.S_ISLNK(found.st_mode):", "if False:", (HOSTILE,)),
    Mutant("pipes are waited for", _OBJECTS, "if not stat.S_ISREG(found.st_mode):", "if False:", (HOSTILE,)),
    Mutant("files larger than memory are read", _OBJECTS, "if size > LARGE_BYTES and", "if False and", (HOSTILE,)),
    Mutant("shards of any number of rows", _LAYOUT, "> MOST_ROWS:", "> MOST_ROWS * 2**90:", (HOSTILE,)),
    Mutant(
        "nested columns are followed", _BOUNDS, "if len(open_groups) > 4:", "if len(open_groups) > 9**9:", (BOUNDS,)
    ),
    Mutant("pages of any size are unpacked", _BOUNDS, "size += unpacked", "size += 0 * unpacked", (BOUNDS,)),
    Mutant("texts of any length are written out", _BOUNDS, "if size > most_bytes():", "if False:", (BOUNDS,)),
    Mutant("memory is lent to two at once", _DIRECT, "self._idle.pop()", "self._idle[-1]", (DIRECT,)),
    Mutant("a tail is not read", _DIRECT, "-(-size // BLOCK) * BLOCK", "size // BLOCK * BLOCK", (DIRECT,)),
    Mutant("a disk that knows no direct way is not read", _DIRECT, "!= errno.EINVAL", "!= 0", (DIRECT,)),
    Mutant(
        "a path leads out of its folder",
        "tasks/store/objects.py",
        'if ".." in folders:',
        "if False:",
        ("tests/unit/test_objects.py",),
    ),
    Mutant(
        "linked folders are followed",
        "tasks/store/objects.py",
        "if folder != root and Path(folder).is_symlink():",
        "if False:",
        (HOSTILE,),
    ),
    Mutant(
        "replay does not compare rows",
        _REPLAYING,
        "if logical_digest(made.table) != entry.digest:",
        "if False:",
        (REPLAYING,),
    ),
    Mutant(
        "replay does not compare states",
        _REPLAYING,
        "if _sha256(to_safetensors(made.state)) != entry.state_sha256:",
        "if False:",
        (REPLAYING,),
    ),
    Mutant("another model is as good", _REPLAYING, "if digest != description.get(name):", "if False:", (REPLAYING,)),
    Mutant("another part is as good", _REPLAYING, 'in described.get("parts", ()):', "in ():", (REPLAYING,)),
    Mutant("another classifier is as good", _REPLAYING, "    if named:\n", "    if False:\n", (REPLAYING,)),
    Mutant("the compiler is not said", _REPLAYING, "names += tuple(here)", 'names += ("hardware",)', (REPLAYING,)),
    Mutant("repair keeps whatever comes out", _REPAIRING, "if digest != entry.digest:", "if False:", (DAMAGE,)),
    Mutant(
        "an audit with replacement",
        _CONFIDENCE,
        "(num_shards - num_wrong - i, 0) / (num_shards - i)",
        "(num_shards - num_wrong + 0 * i, 0) / num_shards",
        (CONFIDENCE,),
    ),
    Mutant("an audit of half the confidence", _CONFIDENCE, "<= 1 - CONFIDENCE", "<= 0.5", (CONFIDENCE,)),
    Mutant("a key that all can read", _SIGNATURE, "if mode & 0o077:", "if mode & 0o007:", (SIGNATURE,)),
    Mutant(
        "any signature will do",
        _SIGNATURE,
        "except (InvalidSignature, ValueError) as error:",
        "except InvalidSignature:\n        return\n    except ValueError as error:",
        (SIGNATURE,),
    ),
    Mutant(
        "ranks share shards",
        "tasks/store/torch_draws.py",
        "self.rank * num_workers + number ::",
        "number ::",
        (READERS,),
    ),
)
