"""Bugs in what reaches MLflow, and who may sign what."""

from tests.mutants.mutant import Mutant

FETCH = "tests/integration/test_fetch.py"
MOVED = "tests/integration/test_moved_root.py"
MIRROR = "tests/integration/test_mirror.py"
ORIGIN = "tests/unit/test_origin.py"
PREFLIGHT = "tests/unit/test_preflight.py"
PUBLISHED = "tests/unit/test_published.py"
RECORD = "tests/unit/test_record.py"
REGISTER = "tests/integration/test_register.py"
SIGNATURE = "tests/unit/test_signature.py"
WRONG_INPUT = "tests/integration/test_wrong_input.py"

_DAG = "tasks/dag/dag.py"
_INTACT = "tasks/store/intact.py"
_ONCE = "tasks/records/once.py"
_ORIGIN = "tasks/fleet/origin.py"
_PUBLISHED = "tasks/dag/published.py"
_REGISTER = "tasks/registry/register.py"
_SERVER = "tasks/records/tracking_server.py"
_SIGNATURE = "tasks/store/signature.py"

MUTANTS = (
    Mutant("a creation is sent again", _ONCE, 'os.environ[RETRIES] = "0"', 'os.environ[RETRIES] = "2"', (REGISTER,)),
    Mutant("what was made is made again", _ONCE, "if found is not None:\n        return found", "", (REGISTER,)),
    Mutant("a run waits for its server", _SERVER, '.with_suffix(".run.lock")', '.with_suffix(".lock")', (MIRROR,)),
    Mutant("a name with a dot has no model", _REGISTER, '.replace(".", "-")', "", (FETCH,)),
    Mutant("any key signs over another's", _SIGNATURE, "if owner != _hex(key):", "if False:", (SIGNATURE,)),
    Mutant(
        "what was not proven is signed",
        _SIGNATURE,
        "key.sign(bytes_of(proven))",
        "key.sign(objects.read(objects.open_store(uri), DATASET))",
        (SIGNATURE,),
    ),
    Mutant(
        "a key is refused after the work",
        "pipelines/preflight.py",
        "signature.require_own(place, flow.sign)",
        "pass",
        (WRONG_INPUT,),
    ),
    Mutant("a needed artefact is trusted", _DAG, "self.manifest(need).require_intact()", "pass", (PUBLISHED,)),
    Mutant("a done step is trusted", _DAG, "        found.require_intact()\n", "", (PUBLISHED,)),
    Mutant("sizes alone are compared", _INTACT, "is_same = sha256_of(path) == sha256", "is_same = True", (PUBLISHED,)),
    Mutant(
        "a manifest is not sealed",
        _PUBLISHED,
        "document.unseal(str(path), data)",
        "parse(str(path), data)",
        (PUBLISHED,),
    ),
    Mutant(
        "places are absolute",
        _PUBLISHED,
        'return ROOT + value.removeprefix(str(root)).lstrip("/")',
        "return value",
        (PUBLISHED,),
    ),
    Mutant(
        "another result of an earlier step",
        _PUBLISHED,
        "need.digest) != need.digest",
        "need.digest) is None",
        (PUBLISHED,),
    ),
    Mutant("the old place of a root is read", _SERVER, "relocated.follow(path.absolute())", "pass", (MOVED,)),
    Mutant("checks wait for their step", "pipelines/runner.py", "    pipeline.check(", "    list(", (PREFLIGHT,)),
    Mutant(
        "warm steps are not recorded", "pipelines/record.py", "if _is_section(step, settings)", "if False", (RECORD,)
    ),
    Mutant("an origin of anything", _ORIGIN, "for key, kind in KINDS.items()", "for key, kind in ()", (ORIGIN,)),
    Mutant(
        "a cluster's address of anything",
        "tasks/config/cluster.py",
        'require(is_place, "cluster.address"',
        'require(True, "cluster.address"',
        (WRONG_INPUT,),
    ),
)
