"""Bugs in heavy tails: the coordinates that reach them, and the errors that allow for them."""

from tests.mutants.mutant import Mutant

HEAVY_TAILS = "tests/statistical/test_heavy_tails.py"
TAILS = "tests/unit/test_tails.py"
TAIL_INDEX = "tests/unit/test_tail_index.py"
TARGET_MEASURES = "tests/unit/test_target_measures.py"

_TAILS = "tasks/mcmc/coordinates/tails.py"
_TAIL_FIT = "tasks/mcmc/warmup/tail_fit.py"
_TAIL_INDEX = "tasks/mcmc/diagnostics/tail_index.py"

MUTANTS = (
    Mutant(
        "warm-up that learns no tails",
        "tasks/mcmc/warmup/warmup.py",
        "coordinates_of(tuned.coordinates, seen, window, index > 0, is_small)",
        "coordinates_of(tuned.coordinates, seen, window, False, is_small)",
        (HEAVY_TAILS,),
    ),
    Mutant(
        "tails without their Jacobian",
        _TAILS,
        "return value + log_slope.sum(1), self._pull_score(y, score)",
        "return value, self._pull_score(y, score)",
        (TAILS, HEAVY_TAILS),
    ),
    Mutant(
        "radial tail with the Jacobian of one coordinate",
        _TAILS,
        "w.shape[1] * a + (b * squared).log1p()",
        "a + (b * squared).log1p()",
        (TAILS, HEAVY_TAILS),
    ),
    Mutant(
        "score along the ray alone",
        _TAILS,
        "a.exp() * (score + b * w * (w * score).sum(1, keepdim=True))",
        "a.exp() * score",
        (TAILS,),
    ),
    Mutant(
        "one side's tail on both",
        _TAILS,
        "torch.where(y < 0, self.heaviness[0]",
        "torch.where(y < 0, self.heaviness[1]",
        (TAILS,),
    ),
    Mutant(
        "distances that Newton has not reached",
        _TAILS,
        "NUM_NEWTON, SMALLEST = 30",
        "NUM_NEWTON, SMALLEST = 2",
        (TAILS,),
    ),
    Mutant(
        "tails in any case",
        _TAIL_FIT,
        "return after < min(MUCH * before, before - WORTH_IT)",
        "return True",
        (TAILS,),
    ),
    Mutant(
        "error of what came alone",
        _TAIL_INDEX,
        "return farthest / (num_effective * (1 - k))",
        "return 0.0",
        (TAIL_INDEX,),
    ),
    Mutant("a finite error of an infinite moment", _TAIL_INDEX, "if order * k >= 1:", "if k >= 1:", (TAIL_INDEX,)),
    Mutant(
        "superchains compared in their means alone",
        "tasks/judging/target_measures.py",
        "map(diagnostics.rank_normalised, (values, folded))",
        "map(diagnostics.rank_normalised, (values,))",
        (TARGET_MEASURES,),
    ),
    Mutant(
        "superchains compared in values that have no mean",
        "tasks/judging/target_measures.py",
        "map(diagnostics.rank_normalised, (values, folded))",
        "(values, folded)",
        (TARGET_MEASURES,),
    ),
    Mutant(
        "chains that drift together agree",
        "tasks/judging/target_measures.py",
        "[diagnostics.nested_rhat(ranked, superchain), diagnostics.nested_rhat(halves, which)]",
        "[diagnostics.nested_rhat(ranked, superchain)]",
        (TARGET_MEASURES,),
    ),
    Mutant(
        "superchains of any size weigh the same",
        "tasks/mcmc/diagnostics/diagnostics.py",
        "(sizes * (of_superchain - means.mean()) ** 2).sum()",
        "(size * (of_superchain - means.mean()) ** 2).sum() * 2",
        ("tests/unit/test_diagnostics.py",),
    ),
)
