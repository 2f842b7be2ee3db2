"""Bugs in noise, energies, objectives and scores."""

from tests.mutants.mutant import Mutant

ENERGIES = "tests/unit/test_energies.py"
LINE = "tests/unit/test_line_integral.py"
MATCHING = "tests/unit/test_score_matching.py"
NOISE = "tests/unit/test_noise.py"
OBJECTIVES = "tests/unit/test_objectives.py"

_ENERGIES = "tasks/ebm/energies.py"
_LINE = "tasks/mcmc/kernels/line_integral.py"
_MATCHING = "tasks/ebm/score_matching.py"
_NOISE = "tasks/ebm/noise.py"
_OBJECTIVES = "tasks/ebm/objectives.py"

MUTANTS = (
    # Training.
    Mutant("Tweedie's factor", _NOISE, "(x + beta * score) / signal", "(x + beta.sqrt() * score) / signal", (NOISE,)),
    Mutant("Tweedie without rescaling", _NOISE, " / signal_level(logit_beta)[:, None]", "", (NOISE,)),
    Mutant("signal and noise exchanged", _NOISE, "torch.sigmoid(-logit_beta)", "torch.sigmoid(logit_beta)", (NOISE,)),
    Mutant("level without its factor 2", _NOISE, "return 2 * math.log(sigma)", "return math.log(sigma)", (NOISE,)),
    Mutant(
        "inverted energy", _ENERGIES, "return gaussian + self.network", "return -gaussian + self.network", (ENERGIES,)
    ),
    Mutant("inverted score", _ENERGIES, "return value.detach(), score", "return value.detach(), -score", (ENERGIES,)),
    Mutant(
        "chains couple through the batch",
        _ENERGIES,
        "gaussian, white = self.anchor(x, logit_beta)",
        "gaussian, white = self.anchor(x - x.mean(0), logit_beta)",
        (ENERGIES,),
    ),
    Mutant(
        "anchor without its volume",
        _ENERGIES,
        "anchor(white) - 0.5 * variance.log().sum(1)",
        "anchor(white)",
        (ENERGIES,),
    ),
    Mutant("wrong sign in score matching", _OBJECTIVES, "(noise + beta.sqrt()", "(noise - beta.sqrt()", (OBJECTIVES,)),
    Mutant("score matching without beta", _OBJECTIVES, "return beta * (noise", "return (noise", (OBJECTIVES,)),
    Mutant(
        "time score without the Jacobian",
        _OBJECTIVES,
        "(noisy * score).sum(1) + noisy.shape[1])",
        "(noisy * score).sum(1))",
        (OBJECTIVES,),
    ),
    Mutant("time score of the wrong sign", _OBJECTIVES, "(time_score - (noise", "(time_score + (noise", (OBJECTIVES,)),
    # Scores without a density, and known scores.
    Mutant(
        "Simpson's rule with other weights", _LINE, "((0.5,), (2 / 3,), 1 / 6)", "((0.5,), (1 / 2,), 1 / 4)", (LINE,)
    ),
    Mutant("a rule without its ends", _LINE, "mean = rule.end * (state", "mean = 0 * (state", (LINE,)),
    Mutant("a rule with one end twice", _LINE, "(state.score + proposal.score)", "(2 * state.score)", (LINE,)),
    Mutant("a line walked backwards", _LINE, "delta = proposal.x - state.x", "delta = state.x - proposal.x", (LINE,)),
    Mutant(
        "an unadjusted step that is tested",
        _LINE,
        "certainly = torch.zeros_like(integral)",
        "certainly = random.uniform(len(y))",
        (LINE,),
    ),
    Mutant(
        "draws of a score called exact",
        "tasks/mcmc/kernels/kernels.py",
        'flaw=f"takes line integrals of a score ({rule_name}) for log ratios of densities"',
        'flaw=""',
        (LINE,),
    ),
    Mutant("nodes of a rule uncounted", "tasks/mcmc/kernels/kernels.py", "1 + len(rule.nodes)", "1", (LINE,)),
    Mutant(
        "log densities in a store of scores",
        "tasks/sampling/draws.py",
        "{} if isinstance(model, ScoreModel) else densities",
        "densities",
        ("tests/unit/test_score_only.py",),
    ),
    Mutant(
        "symmetric part for the antisymmetric",
        "tasks/ebm/conservative.py",
        "(forward - transposed) / 2",
        "(forward + transposed) / 2",
        ("tests/unit/test_conservative.py",),
    ),
    Mutant(
        "known score taken for the noised one",
        _MATCHING,
        "return (signal * known - information * sigma * noise) / (signal.square() + information * sigma.square())",
        "return known",
        (MATCHING,),
    ),
    Mutant(
        "noise of the wrong sign beside a known score",
        _MATCHING,
        "known - information * sigma",
        "known + information * sigma",
        (MATCHING,),
    ),
    Mutant(
        "known score in the data's units",
        "tasks/user_code/known_score.py",
        "return (scale * score).float()",
        "return score.float()",
        ("tests/unit/test_known_score.py",),
    ),
    Mutant(
        "known scores of other rows",
        "tasks/ebm/training.py",
        "known[indices]",
        "known[:size]",
        ("tests/unit/test_training.py",),
    ),
    Mutant(
        "gradients of three workers added in another order",
        "tasks/ebm/training.py",
        "find_unused_parameters=num_workers > 2",
        "find_unused_parameters=False",
        ("tests/integration/test_parallel_losses.py",),
    ),
)
