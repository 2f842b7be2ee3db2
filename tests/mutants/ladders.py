"""Bugs in annealing, exchange and tempering."""

from tests.mutants.mutant import Mutant

ADAPTATION = "tests/unit/test_adaptation.py"
ANNEALING = "tests/statistical/test_annealing.py"
EVIDENCE = "tests/statistical/test_evidence.py"
EXCHANGE = "tests/unit/test_exchange.py"
KERNELS = "tests/unit/test_kernels.py"
LEVELS = "tests/unit/test_ladder_moves.py"
PROGRAM = "tests/unit/test_program.py"
SOURCES = "tests/unit/test_sources.py"
TEMPERED = "tests/unit/test_tempered_exchange.py"
TRAVEL = "tests/unit/test_ladder_exchange.py"

_ANNEALING = "tasks/mcmc/noise_ladder/annealing.py"
_EVIDENCE = "tasks/mcmc/tempering/evidence.py"
_EXCHANGE = "tasks/mcmc/noise_ladder/exchange.py"
_PROGRAM = "tasks/mcmc/noise_ladder/program.py"
_TEMPERED = "tasks/mcmc/tempering/tempered_exchange.py"
_TRAVEL = "tasks/mcmc/noise_ladder/ladder_exchange.py"

MUTANTS = (
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
        "choose(is_swapped, new_upper, upper), choose(",
        "choose(is_swapped, new_upper._replace(value=upper.value), upper), choose(",
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
        "choose(is_swapped, upper, lower)",
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
        "tasks/mcmc/tempering/target_ladder.py",
        "tuple(State(*level) for level in zip(x, value, score, strict=True))",
        "tuple(State(x[-1], value[-1], score[-1]) for _ in x)",
        (TEMPERED,),
    ),
    Mutant(
        "resume starts its rounds anew",
        "tasks/mcmc/tempering/target_ladder.py",
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
        "log Z without the modes that were found",
        _EVIDENCE,
        "if modes is None or len(modes.share) == 1:",
        "if True:",
        (EVIDENCE,),
    ),
    Mutant(
        "a reference of many modes that is not normalised",
        _EVIDENCE,
        "known.log_weight.log_softmax(0)",
        "known.log_weight.log_softmax(0) + 0.2",
        (EVIDENCE,),
    ),
    Mutant(
        "a density known by its own file alone",
        "tasks/user_code/sources.py",
        "pending += _imported(",
        "_imported(",
        (SOURCES,),
    ),
    Mutant(
        "a density known by the module that hands it on alone",
        "tasks/user_code/sources.py",
        "module, name = next(_origins(module, name), (module, name))",
        "pass",
        (SOURCES,),
    ),
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
        "tasks/mcmc/kernels/adaptation.py",
        "(acceptance - self.target_acceptance)",
        "(self.target_acceptance - acceptance)",
        (ADAPTATION,),
    ),
    Mutant(
        "adaptation that forgets how often it adapted",
        "tasks/mcmc/kernels/adaptation.py",
        "self._num_updates += 1",
        "self._num_updates += 0",
        (ADAPTATION,),
    ),
    Mutant("hot density with a cold score", _ANNEALING, "score / temperature", "score", (LEVELS,)),
    Mutant(
        "heat that cools", _ANNEALING, "value / temperature, score / t", "value * temperature, score * t", (ANNEALING,)
    ),
    Mutant(
        "a chain without a test called exact", "tasks/mcmc/kernels/kernels.py", ", flaw=NO_TEST)", ")", (ANNEALING,)
    ),
    Mutant("trajectories not counted", _ANNEALING, "num_gradients += evaluations", "num_gradients += 1", (PROGRAM,)),
    # Exchange on the noise ladder.
    Mutant("swaps told of the pair above", _EXCHANGE, "rejection[i] = 1 -", "rejection[i - 1] = 1 -", (EXCHANGE,)),
    Mutant(
        "swap rates one pair off",
        "tasks/sampling/draws.py",
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
)
