"""Bugs in what reaches MLflow, and who may sign what."""

from tests.mutants.mutant import Mutant

FETCH = "tests/integration/test_fetch.py"
MIRROR = "tests/integration/test_mirror.py"
ORIGIN = "tests/unit/test_origin.py"
REGISTER = "tests/integration/test_register.py"
SIGNATURE = "tests/unit/test_signature.py"
WRONG_INPUT = "tests/integration/test_wrong_input.py"

_ONCE = "tasks/once.py"
_ORIGIN = "tasks/origin.py"
_REGISTER = "tasks/register.py"
_SERVER = "tasks/tracking_server.py"
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
        "pipelines/runner.py",
        "signature.require_own(place, flow.sign)",
        "pass",
        (WRONG_INPUT,),
    ),
    Mutant("an origin of anything", _ORIGIN, "for key, kind in KINDS.items()", "for key, kind in ()", (ORIGIN,)),
    Mutant(
        "a cluster's address of anything",
        "tasks/config.py",
        'require(is_place, "cluster.address"',
        'require(True, "cluster.address"',
        (WRONG_INPUT,),
    ),
)
