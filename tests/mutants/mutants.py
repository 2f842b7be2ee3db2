"""Bugs that the tests must find: where each is planted, as an exact replacement of text, and who must find it."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` occurs exactly once in `file`; one of the test files in `killers` must fail when `new` stands there."""

    name: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]


LAWS, KERNELS, MALA = "tests/statistical/test_laws.py", "tests/unit/test_kernels.py", "tests/unit/test_mala.py"
ANNEALING, ADAPTATION = "tests/statistical/test_annealing.py", "tests/unit/test_adaptation.py"
LEVELS = "tests/unit/test_ladder_moves.py"
STREAMS, PROGRAM, DIAGNOSTICS = ("tests/unit/test_" + name + ".py" for name in ("streams", "program", "diagnostics"))
NOISE, ENERGIES, OBJECTIVES = ("tests/unit/test_" + name + ".py" for name in ("noise", "energies", "objectives"))
HMC, WHITENING, EXCHANGE = ("tests/unit/test_" + name + ".py" for name in ("hmc", "preconditioning", "exchange"))
MANIFEST, VERIFY, MERKLE = ("tests/unit/test_" + name + ".py" for name in ("manifest", "verify", "merkle"))
LAYOUT, HOSTILE, REPLAYING = ("tests/unit/test_" + name + ".py" for name in ("layout", "hostile_store", "replaying"))
CONFIDENCE, SIGNATURE = "tests/unit/test_confidence.py", "tests/unit/test_signature.py"
DAMAGE, READERS = "tests/faults/test_store_damage.py", "tests/integration/test_readers.py"
TRAVEL = "tests/unit/test_ladder_exchange.py"
LINE, MATCHING = "tests/unit/test_line_integral.py", "tests/unit/test_score_matching.py"
COMPOSITION, COMPOSITIONS = "tests/unit/test_composition.py", "tests/statistical/test_compositions.py"
SMC = "tests/statistical/test_smc.py"
LIKELIHOOD, LIKELIHOODS = ("tests/unit/test_" + name + ".py" for name in ("likelihood", "likelihoods"))
TEMPERED, SOURCES = "tests/unit/test_tempered_exchange.py", "tests/unit/test_sources.py"
EVIDENCE = "tests/statistical/test_evidence.py"
NATIVE, PASSES, FUSED = ("tests/unit/test_" + name + ".py" for name in ("native", "passes", "fused"))
BEND, MIXTURE, JUMP = "tests/unit/test_bend.py", "tests/unit/test_mixture.py", "tests/statistical/test_jump_law.py"
WARM_UP = "tests/unit/test_warmup.py"

_MALA, _METROPOLIS, _ANNEALING = "tasks/mcmc/mala.py", "tasks/mcmc/metropolis.py", "tasks/mcmc/annealing.py"
_STREAMS, _PROGRAM, _DIAGNOSTICS = "tasks/mcmc/streams.py", "tasks/mcmc/program.py", "tasks/mcmc/diagnostics.py"
_NOISE, _ENERGIES, _OBJECTIVES = "tasks/ebm/noise.py", "tasks/ebm/energies.py", "tasks/ebm/objectives.py"
_HMC, _EXCHANGE = "tasks/mcmc/hmc.py", "tasks/mcmc/exchange.py"
_LINE, _MATCHING = "tasks/mcmc/line_integral.py", "tasks/ebm/score_matching.py"
_COMPOSITION = "tasks/composition.py"
_SMC, _LIKELIHOOD = "tasks/mcmc/smc.py", "tasks/ebm/likelihood.py"
_DEQUANTISE, _LIKELIHOODS = "tasks/ebm/dequantise.py", "tasks/likelihoods.py"
_TEMPERED, _EVIDENCE = "tasks/mcmc/tempered_exchange.py", "tasks/mcmc/evidence.py"
_NORMALS, _PASSES = "tasks/mcmc/normals.cpp", "tasks/mcmc/mala.cpp"
_PERCEPTRON, _FUSED = "tasks/ebm/perceptron.cpp", "tasks/ebm/fused.py"
_BEND, _MIXTURE, _JUMP = "tasks/mcmc/bend.py", "tasks/mcmc/mixture.py", "tasks/mcmc/jump.py"
_KEEP, _WARM_UP = "tasks/mcmc/keep.py", "tasks/mcmc/warmup.py"
_LECTURE, _MANIFEST = "tasks/mcmc/lecture_mala.py", "tasks/store/manifest.py"
_VERIFY, _MERKLE, _ENTRY = "tasks/store/verify.py", "tasks/store/merkle.py", "tasks/store/entry.py"
_LAYOUT, _REPLAYING, _REPAIRING = "tasks/store/layout.py", "tasks/replaying.py", "tasks/repairing.py"
_CONFIDENCE, _SIGNATURE = "tasks/store/confidence.py", "tasks/store/signature.py"
_TRAVEL = "tasks/mcmc/ladder_exchange.py"

MUTANTS = (
    # The proposal of MALA and its ratio.
    Mutant("missing q-ratio", _MALA, "- trapezoid + kinetic[:, 0]", "", (PASSES,)),
    Mutant("half step in q", _MALA, "(step_size / 8)", "(step_size / 16)", (PASSES,)),
    Mutant("wrong sign of q", _MALA, "- trapezoid + kinetic", "+ trapezoid - kinetic", (PASSES,)),
    Mutant(
        "wrong sign of f",
        _MALA,
        "return proposal.value - state.value",
        "return state.value - proposal.value",
        (PASSES,),
    ),
    Mutant("wrong sign of the score", _MALA, "state.x + 0.5 * step_size", "state.x - 0.5 * step_size", (PASSES,)),
    Mutant("noise off by sqrt 2", _MALA, "step_size**0.5 * noise", "(2 * step_size) ** 0.5 * noise", (PASSES,)),
    Mutant("no noise", _MALA, " + step_size**0.5 * noise", " + 0 * noise", (PASSES,)),
    Mutant("drift forgotten in the ratio", _MALA, "state.score + proposal.score\n", "state.score\n", (PASSES,)),
    Mutant(
        "uniform reused from the noise",
        _MALA,
        "uniform = random.uniform(len(y)).to(y.device)",
        "import torch\n    uniform = torch.special.ndtr(random.normal(*state.x.shape)[:, 0].double())",
        (LAWS,),
    ),
    Mutant(
        "stale energy in a proposal",
        _MALA,
        "proposal = State(y, *target(y))",
        "proposal = State(y, state.value, target(y)[1])",
        (LAWS,),
    ),
    Mutant(
        "stale gradient in a proposal",
        _MALA,
        "proposal = State(y, *target(y))",
        "proposal = State(y, target(y)[0], state.score)",
        (KERNELS,),
    ),
    # The test.
    Mutant("no Metropolis test", _METROPOLIS, "is_finite & (uniform.log() < log_ratio)", "is_finite", (LAWS,)),
    Mutant("decision upside down", _METROPOLIS, "uniform.log() < log_ratio", "uniform.log() > log_ratio", (LAWS,)),
    Mutant("ratio not exponentiated", _METROPOLIS, "uniform.log() < log_ratio", "uniform < log_ratio", (LAWS,)),
    Mutant(
        "batch-wide acceptance",
        _METROPOLIS,
        "(uniform.log() < log_ratio)",
        "(uniform[0].log() < log_ratio.mean()).expand_as(log_ratio)",
        (KERNELS,),
    ),
    Mutant(
        "stale energy after acceptance",
        _METROPOLIS,
        "torch.where(is_accepted, proposal.value, state.value)",
        "state.value",
        (LAWS,),
    ),
    Mutant(
        "stale gradient after acceptance",
        _METROPOLIS,
        "torch.where(is_accepted[:, None], proposal.score, state.score)",
        "state.score",
        (KERNELS,),
    ),
    Mutant(
        "energy of the proposal after rejection",
        _METROPOLIS,
        "torch.where(is_accepted, proposal.value, state.value)",
        "proposal.value",
        (KERNELS,),
    ),
    Mutant(
        "NaN accepted",
        _METROPOLIS,
        "is_finite & (uniform.log() < log_ratio)",
        "~(uniform.log() >= log_ratio)",
        (KERNELS,),
    ),
    Mutant(
        "score that is NaN accepted",
        _METROPOLIS,
        "0 * log_ratio + (0 * proposal.score).sum(1) == 0",
        "log_ratio.isfinite()",
        (MALA,),
    ),
    Mutant("out of the support counted as broken", _METROPOLIS, "is_finite | is_outside)", "is_finite)", (KERNELS,)),
    # The other kernels.
    Mutant("adjusted where it says unadjusted", "tasks/mcmc/langevin.py", "zeros_like", "ones_like", (KERNELS,)),
    Mutant("lecture's form with MALA's drift", _LECTURE, "+ step_size * state", "+ 0.5 * step_size * state", (LAWS,)),
    Mutant("lecture's form with MALA's q", _LECTURE, "(step_size / 2)", "(step_size / 8)", (LAWS,)),
    Mutant("lecture's form without q", _LECTURE, "- drift + kinetic[:, 0]", "", (LAWS,)),
    Mutant(
        "walk that steps by eta",
        "tasks/mcmc/random_walk.py",
        "step_size**0.5 * random",
        "step_size * random",
        (KERNELS,),
    ),
    Mutant(
        "walk that takes every step",
        "tasks/mcmc/random_walk.py",
        "proposal.value - state.value",
        "0 * proposal.value",
        (LAWS,),
    ),
    Mutant(
        "Gibbs that never moves the first coordinate",
        "tasks/mcmc/gibbs.py",
        "random.integers(dim, num_chains, 1)",
        "(1 + random.integers(dim - 1, num_chains, 1))",
        (KERNELS,),
    ),
    Mutant(
        "Gibbs that always shifts upwards",
        "tasks/mcmc/gibbs.py",
        "random.normal(num_chains, 1)",
        "random.normal(num_chains, 1).abs()",
        (LAWS,),
    ),
    Mutant(
        "Hamiltonian without kinetic energy",
        _HMC,
        " + 0.5 * (momentum.square() - final.square()).sum(1)",
        "",
        (HMC,),
    ),
    Mutant(
        "kinetic energy of the wrong sign", _HMC, "+ 0.5 * (momentum.square()", "- 0.5 * (momentum.square()", (HMC,)
    ),
    Mutant("leapfrog with a whole last kick", _HMC, "half + 0.5 * step_size", "half + step_size", (HMC,)),
    Mutant("leapfrog on a stale gradient", _HMC, "State(x, *target(x))", "State(x, target(x)[0], state.score)", (HMC,)),
    Mutant(
        "whitened score of the wrong side",
        "tasks/mcmc/preconditioning.py",
        "else score @ self.factor\n",
        "else score @ self.factor.T\n",
        (WHITENING,),
    ),
    Mutant(
        "coordinates that do not come back",
        "tasks/mcmc/preconditioning.py",
        "else z @ self.factor.T)",
        "else z @ self.factor)",
        (WHITENING,),
    ),
    # Swaps.
    Mutant(
        "copied swap",
        _EXCHANGE,
        "return choose(is_swapped, new_upper, upper), choose",
        "return upper, choose",
        (EXCHANGE,),
    ),
    Mutant(
        "off-by-one swap energy",
        _EXCHANGE,
        "states[j], targets[i], targets[j])",
        "states[j], targets[i], targets[max(j - 1, 0)])",
        (EXCHANGE,),
    ),
    Mutant(
        "swap of one side's energy",
        _EXCHANGE,
        " + (new_lower.value - lower.value)",
        "",
        (EXCHANGE,),
    ),
    Mutant(
        "swap that keeps the old level's energy",
        _EXCHANGE,
        "torch.where(is_new, new.value, old.value)",
        "old.value",
        (EXCHANGE,),
    ),
    Mutant("swap without a decision", _EXCHANGE, "is_finite & (uniform.log() < log_ratio)", "is_finite", (EXCHANGE,)),
    Mutant("swap that takes NaN", _EXCHANGE, "is_finite & (uniform", "~is_finite | (uniform", (EXCHANGE,)),
    Mutant("only even swaps", _EXCHANGE, "range(phase % 2,", "range(0,", (EXCHANGE,)),
    Mutant("all pairs share one uniform", _EXCHANGE, "uniform[:, i]", "uniform[:, 0]", (EXCHANGE,)),
    Mutant(
        "levels of a round share their numbers",
        _EXCHANGE,
        "1 + level * num_steps",
        "1",
        (EXCHANGE,),
    ),
    # The ladder of a user's own density, and log Z along it.
    Mutant(
        "swap with the energies of the next level",
        _TEMPERED,
        "ladder.levels[i], ladder.levels[i + 1], gaussian",
        "ladder.levels[i], ladder.levels[min(i + 2, len(states) - 1)], gaussian",
        (TEMPERED,),
    ),
    Mutant("tempered swap upside down", _TEMPERED, "(lower_v - upper_v)", "(upper_v - lower_v)", (TEMPERED,)),
    Mutant(
        "swap without the reference",
        _TEMPERED,
        "state.value - reference(state.x)[0] for",
        "state.value for",
        (TEMPERED,),
    ),
    Mutant(
        "occupant copied in a tempered swap",
        _TEMPERED,
        "exchange.choose(is_swapped, upper, lower)",
        "lower",
        (TEMPERED,),
    ),
    Mutant(
        "replicas carry what belongs to their level",
        _TEMPERED,
        "(state.value - (1 - b) * value) / b",
        "state.value",
        (TEMPERED,),
    ),
    Mutant(
        "a first level that stays",
        _TEMPERED,
        "metropolis.init(ladder.scale * noise, target)",
        "replicas.states[0]",
        (TEMPERED,),
    ),
    Mutant(
        "evaluations of replicas not counted", _TEMPERED, "num_evaluations += used", "num_evaluations += 0", (TEMPERED,)
    ),
    Mutant(
        "resume loses the replicas",
        "tasks/mcmc/ladder_travel.py",
        "tuple(State(*level) for level in zip(x, value, score, strict=True))",
        "tuple(State(x[-1], value[-1], score[-1]) for _ in x)",
        (TEMPERED,),
    ),
    Mutant(
        "resume starts its rounds anew",
        "tasks/mcmc/ladder_travel.py",
        "program.burn_in + draw * program.thinning",
        "program.burn_in + (draw - first) * program.thinning",
        (TEMPERED,),
    ),
    Mutant(
        "log Z weighs with the level that it left",
        _EVIDENCE,
        "(b - schedule.levels[level - 1])",
        "(schedule.levels[level - 1] - schedule.levels[max(level - 2, 0)])",
        (EVIDENCE,),
    ),
    Mutant(
        "a density known by its own file alone", "tasks/sources.py", "pending += _imported(", "_imported(", (SOURCES,)
    ),
    # Random numbers.
    Mutant("every step has the same numbers", _STREAMS, "self.step, self.phase)", "0, self.phase)", (STREAMS,)),
    Mutant("every phase has the same numbers", _STREAMS, "self.step, self.phase)", "self.step, 0)", (STREAMS,)),
    Mutant("every block has the same numbers", _STREAMS, "{self.seed}/{self.block}", "{self.seed}", (STREAMS,)),
    Mutant("normals and uniforms of the same bits", _STREAMS, '"fill_uniform", 1', '"fill_uniform", 0', (STREAMS,)),
    Mutant(
        "numbers that cannot be drawn again",
        _STREAMS,
        "(*self.key, 0, use,",
        "(*np.random.default_rng().integers(2**62, size=2).tolist(), 0, use,",
        (STREAMS,),
    ),
    Mutant("other numbers without a compiler", _STREAMS, "self.step, self.phase]", "self.step, 0]", (NATIVE,)),
    # What is compiled.
    Mutant("compiled: ziggurat without a tail", _NORMALS, "return tail(philox, magnitude);", "return x;", (NATIVE,)),
    Mutant(
        "compiled: ziggurat without wedges",
        _NORMALS,
        "if (magnitude < ziggurat.inside[layer]) return x;",
        "return x;",
        (NATIVE,),
    ),
    Mutant(
        "compiled: halves of a word exchanged",
        _NORMALS,
        "uint32_t(last) : uint32_t(last >> 32)",
        "uint32_t(last >> 32) : uint32_t(last)",
        (NATIVE,),
    ),
    Mutant("compiled: missing q-ratio", _PASSES, " - trapezoid / 2 + kinetic * (eta / 8)", "", (LAWS,)),
    Mutant(
        "compiled: wrong sign of q",
        _PASSES,
        "- trapezoid / 2 + kinetic * (eta / 8)",
        "+ trapezoid / 2 - kinetic * (eta / 8)",
        (LAWS,),
    ),
    Mutant("compiled: noise off by sqrt 2", _PASSES, "std::sqrt(eta)", "std::sqrt(2 * eta)", (LAWS,)),
    Mutant("compiled: decision upside down", _PASSES, "log(uniform[chain]) < d", "log(uniform[chain]) > d", (LAWS,)),
    Mutant(
        "compiled: NaN accepted",
        _PASSES,
        "is_number && std::log(uniform[chain]) < double(ratio)",
        "!(std::log(uniform[chain]) >= double(ratio))",
        (KERNELS,),
    ),
    Mutant(
        "compiled: stale gradient after acceptance",
        _PASSES,
        "chosen.score[i] = from.score[i]",
        "chosen.score[i] = state.score[i]",
        (KERNELS,),
    ),
    Mutant("compiled: one step size of all", _PASSES, "? numbers[chain]", "? numbers[0]", (PASSES,)),
    Mutant("compiled: residual forgotten", _PERCEPTRON, "if (in.add >= 0) a += add[i];", "", (FUSED,)),
    Mutant("compiled: slope forgotten", _PERCEPTRON, "if (in.finish == SLOPE) a *= slope[i];", "", (FUSED,)),
    Mutant("compiled: norm held fixed in the gradient", _PERCEPTRON, " - n[i] * along)", ")", (FUSED,)),
    Mutant("compiled: x of the inner product held fixed", _PERCEPTRON, "g[i] += product - f", "g[i] -= f", (FUSED,)),
    Mutant("scale of the level forgotten", _FUSED, "(1 + scale)[:, None] * block", "block", (FUSED,)),
    # The ladder.
    Mutant(
        "adaptation never stopped",
        _ANNEALING,
        "        accepted += info.is_accepted.cpu()\n",
        "        accepted += info.is_accepted.cpu()\n"
        "        change = math.exp(0.3 * (float(info.is_accepted.float().mean()) - 0.574))\n"
        "        move = move._replace(step_size=move.step_size * change)\n",
        (KERNELS,),
    ),
    Mutant(
        "steps of a level share their numbers",
        _ANNEALING,
        "move(stream, phase, first + k,",
        "move(stream, phase, first,",
        (KERNELS,),
    ),
    Mutant(
        "descent reuses the first step's numbers",
        _ANNEALING,
        "stream.at(level, 0), state, target_at, high, levels[level], norm",
        "stream.at(level, 1), state, target_at, high, levels[level], norm",
        (LEVELS,),
    ),
    Mutant("descent's weight without its proposal", _ANNEALING, " - log_normal(x, mean, variance)", "", (ANNEALING,)),
    Mutant(
        "descent's weight upside down",
        _ANNEALING,
        "forward - state.value - log_normal(x, mean, variance)",
        "state.value + log_normal(x, mean, variance) - forward",
        (ANNEALING,),
    ),
    Mutant(
        "descent scored with another variance",
        _ANNEALING,
        "log_normal(x, mean, variance)\n",
        "log_normal(x, mean, gap)\n",
        (ANNEALING,),
    ),
    Mutant(
        "start not weighted",
        _ANNEALING,
        "state.value - log_normal(x, torch.zeros_like(x), temperature)",
        "state.value",
        (ANNEALING,),
    ),
    Mutant(
        "adaptation the wrong way",
        "tasks/mcmc/adaptation.py",
        "(acceptance - self.target_acceptance)",
        "(self.target_acceptance - acceptance)",
        (ADAPTATION,),
    ),
    Mutant(
        "adaptation that forgets how often it adapted",
        "tasks/mcmc/adaptation.py",
        "self._num_updates += 1",
        "self._num_updates += 0",
        (ADAPTATION,),
    ),
    Mutant("hot density with a cold score", _ANNEALING, "score / temperature", "score", (LEVELS,)),
    Mutant(
        "heat that cools", _ANNEALING, "value / temperature, score / t", "value * temperature, score * t", (ANNEALING,)
    ),
    Mutant("a chain without a test called exact", "tasks/mcmc/kernels.py", ", flaw=NO_TEST)", ")", (ANNEALING,)),
    Mutant("trajectories not counted", _ANNEALING, "num_gradients += evaluations", "num_gradients += 1", (PROGRAM,)),
    # What is kept.
    Mutant("draw of a chain kept twice", _PROGRAM, "chains, since = _travel(", "_, since = _travel(", (PROGRAM,)),
    Mutant(
        "draws of a segment reuse numbers",
        _PROGRAM,
        "program.exchange_rounds + (draw - 1) * program.thinning\n",
        "program.exchange_rounds\n",
        (PROGRAM,),
    ),
    Mutant(
        "rejected draws dropped",
        _PROGRAM,
        "        kept.append((chains.replicas.states[-1], _accepted(since)))\n",
        "        if bool(_accepted(since).any()):\n"
        "            kept.append((chains.replicas.states[-1], _accepted(since)))\n",
        (PROGRAM,),
    ),
    Mutant(
        "segments that overlap",
        _PROGRAM,
        "first = segment * program.draws_per_segment",
        "first = segment * (program.draws_per_segment - 1)",
        (PROGRAM,),
    ),
    # Exchange on the noise ladder.
    Mutant("swaps told of the pair above", _EXCHANGE, "rejection[i] = 1 -", "rejection[i - 1] = 1 -", (EXCHANGE,)),
    Mutant(
        "swap rates one pair off",
        "tasks/draws.py",
        '"swapped": np.nansum(1 - rejection, axis=0).tolist()',
        '"swapped": np.roll(np.nansum(1 - rejection, axis=0), 1).tolist()',
        (TRAVEL,),
    ),
    Mutant(
        "replicas not there after a restart",
        _PROGRAM,
        "return cls(Replicas(states, *labels), tensors",
        "return cls(Replicas((states[-1],) * len(states), *labels), tensors",
        (TRAVEL,),
    ),
    Mutant(
        "round trips forgotten in a restart",
        _PROGRAM,
        "labels = (tensors[name].cpu() for",
        "labels = (0 * tensors[name].cpu() for",
        (TRAVEL,),
    ),
    Mutant(
        "exchange that goes on adapting",
        _TRAVEL,
        "        rounds.append(info)\n",
        "        rounds.append(info)\n"
        "        taken = [float(level.accepted.float().mean()) for level in info.stats]\n"
        "        moves = [m._replace(step_size=m.step_size * math.exp(a - 0.574)) for m, a in zip(moves, taken)]\n",
        (TRAVEL,),
    ),
    Mutant(
        "rounds of exchange share their numbers",
        _TRAVEL,
        "exchange_round(stream, turn,",
        "exchange_round(stream, first,",
        (TRAVEL,),
    ),
    Mutant(
        "replicas that start a level too low",
        _TRAVEL,
        "walk.path[level] for level in",
        "walk.path[max(level, 1)] for level in",
        (TRAVEL,),
    ),
    Mutant("evaluations of swaps not counted", _EXCHANGE, " + 2 * int(np.isfinite(rejection).sum())", "", (TRAVEL,)),
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
        "tasks/mcmc/kernels.py",
        'flaw=f"takes line integrals of a score ({rule_name}) for log ratios of densities"',
        'flaw=""',
        (LINE,),
    ),
    Mutant("nodes of a rule uncounted", "tasks/mcmc/kernels.py", "1 + len(rule.nodes)", "1", (LINE,)),
    Mutant(
        "log densities in a store of scores",
        "tasks/draws.py",
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
        "tasks/known_score.py",
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
    # Jumps and bent coordinates.
    Mutant(
        "jump without its q-ratio",
        _JUMP,
        " + mixture.log_density(state.x) - mixture.log_density(proposal.x)",
        "",
        (JUMP,),
    ),
    Mutant(
        "jump with its q-ratio upside down",
        _JUMP,
        "mixture.log_density(state.x) - mixture.log_density(proposal.x)",
        "mixture.log_density(proposal.x) - mixture.log_density(state.x)",
        (JUMP,),
    ),
    Mutant(
        "jump to the likeliest component only",
        _MIXTURE,
        "self.mean[component] + (self.factor[component]",
        "self.mean[component * 0] + (self.factor[component * 0]",
        (JUMP,),
    ),
    Mutant("mixture without its determinants", _MIXTURE, "self.log_weight - log_det", "self.log_weight", (MIXTURE,)),
    Mutant(
        "jumps only where they are wanted",
        _JUMP,
        "return metropolis(uniform, state, proposal,",
        "return metropolis(uniform * (state.x[:, 0] < 0), state, proposal,",
        (JUMP,),
    ),
    Mutant("bend without its Jacobian", _BEND, "return value + log_det,", "return value,", (JUMP,)),
    Mutant(
        "gradient of a bend without its Jacobian", _BEND, "@ self.slope + self.slope.sum(0)", "@ self.slope", (BEND,)
    ),
    Mutant(
        "kept draws that go on adapting",
        _KEEP,
        "        states.append(coordinates.push_state(white))\n",
        "        states.append(coordinates.push_state(white))\n"
        "        step_size *= math.exp(float(info.is_accepted.double().mean()) - 0.75)\n",
        (WARM_UP,),
    ),
    Mutant(
        "warm-up that forgets to look for other modes",
        _WARM_UP,
        "state, cost = look_around(stream, state, target, tuned.coordinates)",
        "cost = 0",
        (WARM_UP,),
    ),
    Mutant(
        "bend that ignores how scales depend on others",
        _BEND,
        "slope[i, :i] = line.mean[0], line.log_scale[0], line.log_scale[1:]",
        "slope[i, :i] = line.mean[0], line.log_scale[0], 0",
        (BEND,),
    ),
    Mutant("damage goes unseen", _MANIFEST, "if _sha256(data) != sha256:", "if not data:", (MANIFEST,)),
    Mutant(
        "the last writer thinks that it won",
        _MANIFEST,
        "        return winner\n",
        "        return entry\n",
        (MANIFEST,),
    ),
    Mutant(
        "a commit before its rows",
        _MANIFEST,
        "objects.put_if_absent(self._objects, entry.path, data)",
        "objects.put_if_absent(self._objects, commit_path(block, segment), record)\n"
        "        objects.put_if_absent(self._objects, entry.path, data)",
        (MANIFEST,),
    ),
    Mutant("digest that does not see the rows", _MANIFEST, "entry.rows, entry.digest]", "entry.rows]", (MANIFEST,)),
    # The proof of a store.
    Mutant(
        "verify without the logical digest", _VERIFY, "if _digest_of(table) != entry.digest:", "if False:", (VERIFY,)
    ),
    Mutant("verify without the sha256", _VERIFY, "if hashlib.sha256(data).hexdigest() != sha256:", "if 0:", (DAMAGE,)),
    Mutant("repeated rows pass", _LAYOUT, "int((counts > 1).sum())", "0", (LAYOUT,)),
    Mutant("missing rows pass", _LAYOUT, "int((counts == 0).sum())", "0", (LAYOUT,)),
    Mutant("rows of others pass", _LAYOUT, "int((~is_own).sum())", "0", (LAYOUT,)),
    Mutant("rows of a shard are not looked at", _VERIFY, "if any(rows):", "if False:", (VERIFY,)),
    Mutant("an entry listed twice passes", _VERIFY, "if count > 1]", "if count > 2]", (VERIFY,)),
    Mutant(
        "unlisted shards pass",
        _VERIFY,
        'return [Finding("extra", name, reason) for name in shards], notes',
        "return [], notes",
        (VERIFY,),
    ),
    Mutant(
        "commit records are not looked at",
        _VERIFY,
        "        _check_file(store, commit_path(entry.block, entry.segment), record, names, entry),\n",
        "",
        (DAMAGE,),
    ),
    Mutant("columns are not compared", _VERIFY, "checked.columns != columns:", "False:", (VERIFY,)),
    Mutant("leaves and nodes of one kind", _MERKLE, 'b"\\x00" + record', 'b"\\x01" + record', (MERKLE,)),
    Mutant("nodes without a prefix", _MERKLE, 'b"\\x01" + left + right', "left + right", (MERKLE,)),
    Mutant("a path with hashes left over", _MERKLE, "        if hashes:\n", "        if False:\n", (MERKLE,)),
    Mutant(
        "paths of records are taken", _ENTRY, "if (entry.path, entry.state_path) != expected:", "if False:", (HOSTILE,)
    ),
    Mutant("infinity is a number", _ENTRY, "if not math.isfinite(number):", "if False:", (HOSTILE,)),
    Mutant("the last of two keys wins", _ENTRY, "if len(mapping) < len(pairs):", "if False:", (HOSTILE,)),
    Mutant(
        "the seal is not looked at",
        "tasks/store/document.py",
        "document.get(SEAL) != _sha256(inside) or ",
        "",
        (DAMAGE,),
    ),
    Mutant("links are followed", "tasks/store/objects.py", "if local.resolve() != local:", "if False:", (HOSTILE,)),
    Mutant(
        "replay does not compare rows",
        _REPLAYING,
        "if logical_digest(made.table) != entry.digest:",
        "if False:",
        (REPLAYING,),
    ),
    Mutant(
        "replay does not compare states",
        _REPLAYING,
        "if _sha256(to_safetensors(made.state)) != entry.state_sha256:",
        "if False:",
        (REPLAYING,),
    ),
    Mutant("another model is as good", _REPLAYING, "if digest != description.get(name):", "if False:", (REPLAYING,)),
    Mutant("another part is as good", _REPLAYING, 'in described.get("parts", ()):', "in ():", (REPLAYING,)),
    Mutant("another classifier is as good", _REPLAYING, "    if named:\n", "    if False:\n", (REPLAYING,)),
    Mutant("the compiler is not said", _REPLAYING, "names += tuple(here)", 'names += ("hardware",)', (REPLAYING,)),
    Mutant("repair keeps whatever comes out", _REPAIRING, "if digest != entry.digest:", "if False:", (DAMAGE,)),
    Mutant(
        "an audit with replacement",
        _CONFIDENCE,
        "(num_shards - num_wrong - i, 0) / (num_shards - i)",
        "(num_shards - num_wrong + 0 * i, 0) / num_shards",
        (CONFIDENCE,),
    ),
    Mutant("an audit of half the confidence", _CONFIDENCE, "<= 1 - CONFIDENCE", "<= 0.5", (CONFIDENCE,)),
    Mutant("a key that all can read", _SIGNATURE, "if mode & 0o077:", "if mode & 0o007:", (SIGNATURE,)),
    Mutant(
        "any signature will do",
        _SIGNATURE,
        "except (InvalidSignature, ValueError) as error:",
        "except InvalidSignature:\n        return\n    except ValueError as error:",
        (SIGNATURE,),
    ),
    Mutant(
        "ranks share shards", "tasks/torch_draws.py", "self.rank * num_workers + number ::", "number ::", (READERS,)
    ),
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
        "tasks/classifier.py",
        "classify, location + scale * z)",
        "classify, z)",
        (COMPOSITIONS,),
    ),
    Mutant(
        "fixed values rounded to float32",
        "tasks/fixed.py",
        "rows[:, is_given] = given[is_given].astype(rows.dtype)",
        "rows[:, is_given] = given[is_given].astype(np.float32)",
        (COMPOSITION,),
    ),
    Mutant(
        "ends of a range held in the gap",
        "tasks/fixed.py",
        "return centre(z[None], grid)[0]",
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
)
