"""Bugs in what Python's door opens: supports of named blocks, data, sessions, draws."""

from tests.mutants.mutant import Mutant

CONSTRAINTS = "tests/unit/test_constraints.py"
OBSERVATIONS = "tests/unit/test_observations.py"
IN_PYTHON = "tests/integration/test_in_python.py"

_CONSTRAINTS = "tasks/mcmc/coordinates/constraints.py"
_SUPPORT = "tasks/config/support.py"
_OBSERVATIONS = "tasks/user_code/observations.py"
_DENSITY = "tasks/user_code/density.py"
_DRAWS = "tasks/reports/draws.py"
_SESSION = "tasks/user_code/session.py"

MUTANTS = (
    Mutant(
        "steps between ordered without a volume", _CONSTRAINTS, "z[..., 1:].sum(-1)", "0 * z[..., 0]", (CONSTRAINTS,)
    ),
    Mutant("the sphere's radius has no law", _CONSTRAINTS, "-squared[..., 0] / 2 - log_c", "-log_c", (CONSTRAINTS,)),
    Mutant("the sphere's volume is another's", _CONSTRAINTS, "/ 2 - log_c", "/ 2", (CONSTRAINTS,)),
    Mutant(
        "a factor's rows have any length",
        _CONSTRAINTS,
        "(1 - below.square().sum(-1))",
        "(1 + 0 * below.sum(-1))",
        (CONSTRAINTS,),
    ),
    Mutant(
        "labels of what a factor does not draw",
        _SUPPORT,
        "if place[0] > place[1]",
        "if place[0] >= place[1]",
        (CONSTRAINTS,),
    ),
    Mutant(
        "the same name twice",
        _SUPPORT,
        "len(set(named)) not in (0, len(parts))",
        "len(named) not in (0, len(parts))",
        (CONSTRAINTS,),
    ),
    Mutant(
        "data once read for good",
        _OBSERVATIONS,
        "_read(str(path), stamp_of(str(path)))",
        "_read(str(path), None)",
        (OBSERVATIONS,),
    ),
    Mutant("data in no key", _DENSITY, "reads=seen.reads | read)", "reads=seen.reads)", (IN_PYTHON,)),
    Mutant("a session's function in no key", _DENSITY, "{VALUES: ", "{VALUES: '' and ", (IN_PYTHON,)),
    Mutant(
        "draws of one chain in another",
        _DRAWS,
        '[("chain", "ascending"), ("draw"',
        '[("draw", "ascending"), ("chain"',
        (IN_PYTHON,),
    ),
    Mutant(
        "a session's random numbers change",
        _SESSION,
        "with ONE_AT_A_TIME, torch.random.fork_rng():",
        "with ONE_AT_A_TIME:",
        (IN_PYTHON,),
    ),
    Mutant(
        "a session's checks stay off",
        _SESSION,
        "            Distribution.set_default_validate_args(checks)\n",
        "",
        (IN_PYTHON,),
    ),
)
