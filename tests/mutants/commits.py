"""Bugs in the commit protocol and in what becomes of lost workers, which schedules of faults must see."""

from tests.mutants.mutant import Mutant

AIMED = "tests/faults/test_aimed.py"
LOSSES = "tests/unit/test_losses.py"

_LOSSES = "tasks/fleet/failures.py"
_MANIFEST = "tasks/store/manifest.py"

MUTANTS = (
    Mutant(
        "the record is put before the rows",
        _MANIFEST,
        "            objects.put_if_absent(self._objects, entry.path, shard.data)\n            kept.result()\n"
        "        objects.put_if_absent(self._objects, commit_path(block, segment), to_record(entry))\n",
        "            objects.put_if_absent(self._objects, commit_path(block, segment), to_record(entry))\n"
        "        objects.put_if_absent(self._objects, entry.path, shard.data)\n",
        (AIMED,),
    ),
    Mutant(
        "a late writer overwrites",
        "tasks/store/synced.py",
        "        os.link(temporary, target)\n    except FileExistsError:\n        return False\n    finally:\n"
        "        temporary.unlink()\n",
        "        temporary.replace(target)\n    finally:\n        temporary.unlink(missing_ok=True)\n",
        (AIMED,),
    ),
    Mutant("the state is not checked", _MANIFEST, "if _sha256(data) != sha256:", "if False:", (AIMED,)),
    Mutant(
        "a segment goes on from the state after the first",
        _MANIFEST,
        "self.committed(block, segment - 1)",
        "self.committed(block, 0)",
        (AIMED,),
    ),
    Mutant("a poisoned segment is tried for ever", _LOSSES, "if num_lost >= MAX_LOSSES:", "if False:", (LOSSES,)),
    Mutant("lost nodes use up the tries", _LOSSES, "place is None or place in living", "True", (LOSSES,)),
)
