"""Bugs in verdicts, and in stores, their buckets and what extends them."""

from tests.mutants.mutant import Mutant

DIAGNOSTICS = "tests/unit/test_diagnostics.py"
EXTENDED = "tests/unit/test_extended.py"
LAYOUT = "tests/unit/test_layout.py"
MANIFEST = "tests/unit/test_manifest.py"
MERKLE = "tests/unit/test_merkle.py"
BUCKET = "tests/unit/test_bucket.py"
BUCKETS = "tests/integration/test_buckets.py"
ORIGIN = "tests/unit/test_origin.py"
OBJECTS = "tests/unit/test_objects.py"
VERIFY = "tests/unit/test_verify.py"

_BEYOND = "tasks/store/beyond.py"
_DIAGNOSTICS = "tasks/mcmc/diagnostics/diagnostics.py"
_LAYOUT = "tasks/store/layout.py"
_MANIFEST = "tasks/store/manifest.py"
_MERKLE = "tasks/store/merkle.py"
_BUCKET = "tasks/store/bucket.py"
_OBJECTS = "tasks/store/objects.py"
_ORIGIN = "tasks/fleet/origin.py"
_SIGNATURE = "tasks/store/signature.py"

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
)
