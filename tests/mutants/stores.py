"""Bugs in verdicts, in the sample store and in its proof."""

from tests.mutants.mutant import Mutant

CONFIDENCE = "tests/unit/test_confidence.py"
DAMAGE = "tests/faults/test_store_damage.py"
DIAGNOSTICS = "tests/unit/test_diagnostics.py"
EXTENDED = "tests/unit/test_extended.py"
HOSTILE = "tests/unit/test_hostile_store.py"
BOUNDS = "tests/unit/test_bounds.py"
LAYOUT = "tests/unit/test_layout.py"
MANIFEST = "tests/unit/test_manifest.py"
MERKLE = "tests/unit/test_merkle.py"
BUCKET = "tests/unit/test_bucket.py"
BUCKETS = "tests/integration/test_buckets.py"
ORIGIN = "tests/unit/test_origin.py"
OBJECTS = "tests/unit/test_objects.py"
READERS = "tests/integration/test_readers.py"
REPLAYING = "tests/unit/test_replaying.py"
SIGNATURE = "tests/unit/test_signature.py"
VERIFY = "tests/unit/test_verify.py"

_BEYOND = "tasks/store/beyond.py"
_CONFIDENCE = "tasks/store/confidence.py"
_DIAGNOSTICS = "tasks/mcmc/diagnostics/diagnostics.py"
_ENTRY = "tasks/store/entry.py"
_LAYOUT = "tasks/store/layout.py"
_BOUNDS = "tasks/store/bounds.py"
_MANIFEST = "tasks/store/manifest.py"
_MERKLE = "tasks/store/merkle.py"
_BUCKET = "tasks/store/bucket.py"
_OBJECTS = "tasks/store/objects.py"
_ORIGIN = "tasks/fleet/origin.py"
_REPAIRING = "tasks/audit/repair.py"
_REPLAYING = "tasks/audit/replay.py"
_SIGNATURE = "tasks/store/signature.py"
_DIRECT, DIRECT = "tasks/store/direct.py", "tests/unit/test_direct.py"
_VERIFY = "tasks/store/verify.py"

MUTANTS = (
    # Verdicts and the store.
    Mutant(
        "nested R-hat without the variance inside",
        _DIAGNOSTICS,
        "(between_chains + within_chain)",
        "between_chains",
        (DIAGNOSTICS,),
    ),
    Mutant(
        "sample size of unsquared weights",
        _DIAGNOSTICS,
        "special.logsumexp(2 * log_weight)",
        "special.logsumexp(log_weight)",
        (DIAGNOSTICS,),
    ),
    Mutant("log Z is a sum and not a mean", _DIAGNOSTICS, " - math.log(len(log_weight))\n", "\n", (DIAGNOSTICS,)),
    Mutant(
        "acceptances taken for independent",
        _DIAGNOSTICS,
        "inflation = 1 + (num_steps - 1) * ACCEPTANCE_CORRELATION",
        "inflation = 1",
        (DIAGNOSTICS,),
    ),
    # Buckets, and what began a store.
    Mutant(
        "a bucket's second writer overwrites the first",
        _OBJECTS,
        'obstore.put(store, path, data, mode="create")',
        "obstore.put(store, path, data)",
        (BUCKETS,),
    ),
    Mutant("requests are sent once", _BUCKET, "range(_attempts() - 1)", "range(0)", (BUCKET,)),
    Mutant("a refusal is sent again", _BUCKET, "if _PERMANENT.search(str(error)) or", "if", (BUCKET,)),
    Mutant("a bucket that overwrites passes", _BUCKET, "    if not is_kept:\n", "    if False:\n", (BUCKETS,)),
    Mutant("another origin goes on", _ORIGIN, "    if found:\n", "    if False:\n", (ORIGIN,)),
    Mutant(
        "nested keys of an origin pass", _ORIGIN, "found += differences(old, new,", "differences(old, new,", (ORIGIN,)
    ),
    # Stores that are extended.
    Mutant(
        "a smaller store takes the place of a larger one",
        _MANIFEST,
        "return len(before) < len(after) and after[: len(before)] == before",
        "return before != after",
        (MANIFEST, EXTENDED),
    ),
    Mutant(
        "a store of another past takes its place",
        _MANIFEST,
        " and after[: len(before)] == before",
        "",
        (MANIFEST,),
    ),
    Mutant(
        "in a bucket who read first overwrites",
        _OBJECTS,
        'bucket.put_over(store, path, data, str(found.meta["e_tag"]))',
        "obstore.put(store, path, data)",
        (BUCKETS,),
    ),
    Mutant(
        "in a folder who read first overwrites",
        _OBJECTS,
        "if is_older(read(store, path)):\n                    replace",
        "if True:\n                    replace",
        (OBJECTS,),
    ),
    Mutant(
        "fewer are as good as the store's",
        _ORIGIN,
        "sizes = {name: max(count, config[name])",
        "sizes = {name: config[name]",
        (ORIGIN,),
    ),
    Mutant(
        "an extension is not written down",
        _ORIGIN,
        "objects.put_if_absent(store, path, data)",
        "return (*extents, wanted)",
        (ORIGIN,),
    ),
    Mutant(
        "a block that is kept in part gets its other chains later",
        _LAYOUT,
        "first_block, before = first_block + num_blocks, num_chains",
        "first_block, before = num_chains // self.block_size, num_chains",
        (LAYOUT,),
    ),
    Mutant(
        "draws go on in a segment that has ended",
        _LAYOUT,
        "ends = tuple(sorted({extent.num_draws for extent in self.extents[k:]}))",
        "ends = (self.extents[-1].num_draws,)",
        (LAYOUT,),
    ),
    Mutant(
        "the proof counts segments as if all blocks had as many",
        _LAYOUT,
        "return sum(part.num_blocks * self._count_segments(part.ends) for part in self._parts)",
        "return self.num_blocks * self.num_segments(0)",
        (LAYOUT, EXTENDED),
    ),
    Mutant(
        "what is committed beyond is damage",
        _BEYOND,
        "    return listed, f",
        "    return set(), f",
        (EXTENDED,),
    ),
    Mutant(
        "any shard beyond passes",
        _BEYOND,
        "shards.get(place, name) == name",
        "True",
        (EXTENDED,),
    ),
    Mutant(
        "commit records of an extension are among the published",
        "tasks/store/proven.py",
        "and layout.has(*place)",
        "",
        (EXTENDED,),
    ),
    Mutant(
        "a signature of the smaller store passes",
        _SIGNATURE,
        "    except (InvalidSignature, ValueError, StorageError):\n        return False",
        "    except (InvalidSignature, ValueError, StorageError):\n        return True",
        (EXTENDED,),
    ),
    Mutant(
        "a chain that rested in a segment of one draw is stuck",
        "tasks/judging/target_measures.py",
        "if times[-1][1] >= longest:",
        "if times[-1][1]:",
        (EXTENDED,),
    ),
    Mutant(
        "denoised by the score of the tempered density",
        "tasks/sampling/draws.py",
        "program.ladder.temperature * draws.score",
        "draws.score",
        ("tests/unit/test_draws.py",),
    ),
    Mutant("subtrees of any size are joined", _MERKLE, "while index & 1:", "while waiting:", (MERKLE,)),
    Mutant(
        "entries in the order of commits",
        "tasks/store/spool.py",
        " ORDER BY block, segment",
        " ORDER BY block DESC",
        (MANIFEST,),
    ),
    Mutant(
        "rows in order of anything pass", _LAYOUT, "(chain.reshape(shape) == of_chains).all()", "True", (LAYOUT, VERIFY)
    ),
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
