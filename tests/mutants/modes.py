"""Bugs in the search for modes, and in what the verdict makes of it."""

from tests.mutants.mutant import Mutant

LOST = "tests/statistical/test_lost_modes.py"
TEMPERED = "tests/unit/test_tempered_exchange.py"
VERDICT = "tests/unit/test_target_verdict.py"

_MODES = "tasks/mcmc/warmup/modes.py"
_SEARCH = "tasks/judging/mode_search.py"
_TEMPERED = "tasks/mcmc/tempering/tempered_exchange.py"
_VISITED = "tasks/judging/modes_visited.py"

MUTANTS = (
    Mutant("climbs that stay near", _MODES, "NEAREST, FARTHEST, MOST_CLIMB", "FARTHEST, NEAREST, MOST_CLIMB", (LOST,)),
    Mutant("new modes taken for known ones", _MODES, "if not float(excess[best]) > STANDS_OUT", "if True", (LOST,)),
    Mutant(
        "known modes taken for new ones",
        _MODES,
        "if found is None or not local.height(",
        "if found is None or not math.inf + local.height(",
        (LOST,),
    ),
    Mutant("chains that do not settle in new modes", _MODES, "range(NUM_SETTLING)", "range(0)", (LOST,)),
    Mutant("importance weights without their densities", _MODES, "each.logsumexp(0))", "each[0])", (LOST,)),
    Mutant(
        "probes of the lowest scores",
        "tasks/mcmc/warmup/probes.py",
        "(state.score.norm(dim=1), state.value)",
        "(-state.score.norm(dim=1), -state.value)",
        (LOST,),
    ),
    Mutant("jumps of a ladder left out", _TEMPERED, "if jumps is not None:", "if False:", (TEMPERED,)),
    Mutant(
        "ladder jumps at a heated level",
        _TEMPERED,
        "states[-1], again(target)",
        "states[-1], again(target_at(0.3))",
        (TEMPERED,),
    ),
    Mutant("jumps of a ladder not counted", _TEMPERED, "        num_evaluations += 1\n", "", (TEMPERED,)),
    Mutant("a mode without draws passes", _VISITED, "is_passed = worst", "is_passed = True or worst", (VERDICT,)),
    Mutant("search that did not run not told", _SEARCH, "if dim > MOST_DENSE:", "if False:", (VERDICT,)),
)
