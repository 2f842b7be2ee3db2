"""Bugs in scoring rows by a registered model."""

from tests.mutants.mutant import Mutant

LEARNED = "tests/unit/test_learned.py"

_LEARNED = "tasks/registry/learned.py"
_ROWS = "tasks/data/rows.py"

MUTANTS = (
    Mutant(
        "impossible values are likely",
        _LEARNED,
        "np.concatenate(nats), -np.inf)",
        "np.concatenate(nats), 0)",
        (LEARNED,),
    ),
    Mutant("slopes in standard deviations", _LEARNED, ".numpy() / self.schema.scale)", ".numpy())", (LEARNED,)),
    Mutant("slopes of noised rows", _LEARNED, "self._by_column(signal * torch", "self._by_column(torch", (LEARNED,)),
    Mutant(
        "noise taken for its logit", _LEARNED, "level = 2 * math.log(noise_scale)", "level = noise_scale", (LEARNED,)
    ),
    Mutant(
        "rows beyond the first batch are left out",
        _LEARNED,
        "BATCH_ROWS))) for start in starts]",
        "BATCH_ROWS))) for start in starts[:1]]",
        (LEARNED,),
    ),
    Mutant("fractions of whole numbers", _ROWS, "(x == np.rint(x)) & ", "", (LEARNED,)),
)
