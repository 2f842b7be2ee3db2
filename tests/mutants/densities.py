"""Bugs in compositions, log Z and likelihoods."""

from tests.mutants.mutant import Mutant

COMPOSITION = "tests/unit/test_composition.py"
COMPOSITIONS = "tests/statistical/test_compositions.py"
LIKELIHOOD = "tests/unit/test_likelihood.py"
LIKELIHOODS = "tests/unit/test_likelihoods.py"
METRIC = "tests/unit/test_metric.py"
MEASURES = "tests/unit/test_target_measures.py"
OVERFLOW = "tests/unit/test_overflow.py"
POINTS = "tests/unit/test_starting_points.py"
SMC = "tests/statistical/test_smc.py"
STARTS = "tests/unit/test_starts.py"
TARGET_VERDICT = "tests/unit/test_target_verdict.py"

_COMPOSITION = "tasks/sampling/composition.py"
_DEQUANTISE = "tasks/ebm/dequantise.py"
_LIKELIHOOD = "tasks/ebm/likelihood.py"
_LIKELIHOODS = "tasks/judging/likelihoods.py"
_METRIC = "tasks/mcmc/coordinates/metric.py"
_OVERFLOW = "tasks/mcmc/warmup/overflow.py"
_POINTS = "tasks/user_code/starting_points.py"
_SMC = "tasks/mcmc/noise_ladder/smc.py"
_STARTS = "tasks/mcmc/warmup/starts.py"

MUTANTS = (
    # Compositions of models, a classifier and fixed coordinates.
    Mutant(
        "mask off by one coordinate",
        _COMPOSITION,
        "return ~self.fixed.isnan()",
        "return ~self.fixed.isnan().roll(1)",
        (COMPOSITION,),
    ),
    Mutant(
        "weights of a product ignored",
        _COMPOSITION,
        "[part.weight for part in self.parts])\n        if",
        "None)\n        if",
        (COMPOSITION,),
    ),
    Mutant(
        "no way to the other model's coordinates",
        _COMPOSITION,
        "return self.ratio * x + noise.signal_level(logit_beta)[:, None] * self.shift",
        "return x",
        (COMPOSITIONS,),
    ),
    Mutant(
        "shift of the other model not noised",
        _COMPOSITION,
        " + noise.signal_level(logit_beta)[:, None] * self.shift",
        " + self.shift",
        (COMPOSITION,),
    ),
    Mutant("Jacobian of a factor forgotten", _COMPOSITION, " + self.ratio.log().sum()", "", (COMPOSITION,)),
    Mutant(
        "the class beside the one asked for",
        _COMPOSITION,
        "self.log_classifier, self.label)",
        "self.log_classifier, self.label - 1)",
        (COMPOSITIONS,),
    ),
    Mutant(
        "fixed values not at the level",
        _COMPOSITION,
        "return noise.signal_level(logit_beta)[:, None] * self.fixed",
        "return self.fixed.expand(len(logit_beta), -1)",
        (COMPOSITION,),
    ),
    Mutant(
        "classifier sees standardised points",
        "tasks/user_code/classifier.py",
        "classify(location + scale * z)",
        "classify(z)",
        (COMPOSITIONS,),
    ),
    Mutant(
        "fixed values rounded to float32",
        "tasks/sampling/fixed.py",
        "rows[:, is_given] = given[is_given].astype(rows.dtype)",
        "rows[:, is_given] = given[is_given].astype(np.float32)",
        (COMPOSITION,),
    ),
    Mutant(
        "ends of a range held in the gap",
        "tasks/sampling/fixed.py",
        "return centre(z[None], learned_grid(schema))[0]",
        "return z",
        (COMPOSITION,),
    ),
    # log Z and what it makes of energies.
    Mutant("descent's weight with the wrong sign", _SMC, "log_weight + increment", "log_weight - increment", (SMC,)),
    Mutant(
        "weights kept after resampling",
        _SMC,
        "return rows, torch.full_like(log_weight, log_mean_exp(log_weight))",
        "return rows, log_weight",
        (SMC,),
    ),
    Mutant(
        "weights lost in resampling",
        _SMC,
        "torch.full_like(log_weight, log_mean_exp(log_weight))",
        "torch.zeros_like(log_weight)",
        (SMC,),
    ),
    Mutant(
        "particles resampled without their scores",
        _SMC,
        "State(*(part[rows] for part in state))",
        "State(state.x[rows], state.value[rows], state.score)",
        (SMC,),
    ),
    Mutant("sum of weights for their mean", _SMC, " - math.log(len(log_weight))", "", (SMC,)),
    Mutant("heated weight upside down", _SMC, "(1 / temperature - 1)", "(1 - 1 / temperature)", (SMC,)),
    Mutant(
        "mean of logs for the log of the mean",
        _SMC,
        "estimate = log_mean_exp(logs)",
        "estimate = float(logs.mean())",
        (SMC,),
    ),
    Mutant("interval of one population", _SMC, " / math.sqrt(len(ratio))", "", (SMC,)),
    Mutant("sign of log Z", _LIKELIHOOD, "t) - log_z + _log_jacobian", "t) + log_z + _log_jacobian", (LIKELIHOOD,)),
    Mutant(
        "Jacobian of the noise forgotten",
        _LIKELIHOOD,
        " - log_z + _log_jacobian(rows, logit_beta)",
        " - log_z",
        (LIKELIHOOD,),
    ),
    Mutant(
        "standardised units for the user's",
        _LIKELIHOOD,
        " - units.scale[is_real].log().sum()",
        "",
        (LIKELIHOOD,),
    ),
    Mutant(
        "units of whole numbers taken twice",
        _LIKELIHOOD,
        "units.scale[is_real].log()",
        "units.scale.log()",
        (LIKELIHOOD,),
    ),
    Mutant(
        "sign of the divergence",
        _LIKELIHOOD,
        "-half_beta * (x.shape[1] + trace)",
        "half_beta * (x.shape[1] + trace)",
        (LIKELIHOOD,),
    ),
    Mutant("bits that are nats", _LIKELIHOOD, "/ (dim * math.log(2))", "/ dim", (LIKELIHOOD,)),
    Mutant("tail without its share", _DEQUANTISE, "(END_WIDTH * share).log()", "math.log(END_WIDTH)", (LIKELIHOOD,)),
    Mutant(
        "upper end spread as if inside",
        _DEQUANTISE,
        "torch.where(is_highest, _log_tail(",
        "torch.where(is_highest & is_lowest, _log_tail(",
        (LIKELIHOOD,),
    ),
    Mutant("error of log Z left out", _LIKELIHOODS, "log_z.high - log_z.estimate", "0.0", (LIKELIHOODS,)),
    Mutant(
        "temperature forgotten in the likelihood",
        _LIKELIHOODS,
        "logit_beta) / self.temperature",
        "logit_beta)",
        (LIKELIHOODS,),
    ),
    # A user's own density: where chains start, and what is no number.
    Mutant(
        "every overflow is harmless",
        _OVERFLOW,
        "return is_overflow | (value < start - FELL - recorder.inside.shape[1])",
        "return torch.ones_like(is_overflow)",
        (OVERFLOW,),
    ),
    Mutant(
        "no overflow is harmless",
        _OVERFLOW,
        "return is_overflow | (value < start - FELL - recorder.inside.shape[1])",
        "return is_overflow",
        (OVERFLOW,),
    ),
    Mutant(
        "no look between a density and none",
        _OVERFLOW,
        "value = torch.where(is_open & is_density, looked, value)",
        "value = value",
        (OVERFLOW,),
    ),
    Mutant(
        "overflows are trusted",
        "tasks/judging/target_verdict.py",
        "is_passed=check.is_passed and not is_edge",
        "is_passed=check.is_passed",
        (TARGET_VERDICT,),
    ),
    Mutant(
        "metric without a fallback where scores are equal",
        _METRIC,
        "max(least, 1e-14 * float(values[-1]))",
        "1e-14 * float(values[-1])",
        (METRIC,),
    ),
    Mutant(
        "metric that cannot be gone back by",
        _METRIC,
        "root is None or not is_invertible(whitening.factor @ root)",
        "root is None",
        (METRIC,),
    ),
    Mutant(
        "a constant log density is judged",
        "tasks/judging/target_measures.py",
        'summary.slice(1) if first["sd"][0].as_py() < CONSTANT else summary',
        "summary",
        (MEASURES,),
    ),
    Mutant("starts at one scale", _STARTS, "(LOG_RANGE * (2 * u - 1)).exp()\n    kind", "2 * u\n    kind", (STARTS,)),
    Mutant("starts that are not sorted", _STARTS, "kind // 4 % 3", "0 * kind", (STARTS,)),
    Mutant(
        "points outside the support",
        _POINTS,
        "outside = (~is_inside).nonzero()[:, 0]",
        "outside = (~z.isfinite().all(1)).nonzero()[:, 0]",
        (POINTS,),
    ),
    Mutant(
        "points that are not in the key",
        "tasks/sampling/sample_target.py",
        ", *init_digest(config).values()]",
        "]",
        (POINTS,),
    ),
    Mutant(
        "a start without a density",
        "tasks/user_code/density.py",
        "if not bool(is_finite.all()):",
        "if False:",
        (POINTS,),
    ),
)
