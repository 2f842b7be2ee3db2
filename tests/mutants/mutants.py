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

_MALA, _METROPOLIS, _ANNEALING = "tasks/mcmc/mala.py", "tasks/mcmc/metropolis.py", "tasks/mcmc/annealing.py"
_STREAMS, _PROGRAM, _DIAGNOSTICS = "tasks/mcmc/streams.py", "tasks/mcmc/program.py", "tasks/mcmc/diagnostics.py"
_NOISE, _ENERGIES, _OBJECTIVES = "tasks/ebm/noise.py", "tasks/ebm/energies.py", "tasks/ebm/objectives.py"
_HMC, _EXCHANGE = "tasks/mcmc/hmc.py", "tasks/mcmc/exchange.py"
_LECTURE, _MANIFEST = "tasks/mcmc/lecture_mala.py", "tasks/store/manifest.py"
_VERIFY, _MERKLE, _ENTRY = "tasks/store/verify.py", "tasks/store/merkle.py", "tasks/store/entry.py"
_LAYOUT, _REPLAYING, _REPAIRING = "tasks/store/layout.py", "tasks/replaying.py", "tasks/repairing.py"
_CONFIDENCE, _SIGNATURE = "tasks/store/confidence.py", "tasks/store/signature.py"

MUTANTS = (
    # The proposal of MALA and its ratio.
    Mutant("missing q-ratio", _MALA, "- trapezoid + kinetic[:, 0]", "", (LAWS,)),
    Mutant("half step in q", _MALA, "(step_size / 8)", "(step_size / 16)", (LAWS,)),
    Mutant("wrong sign of q", _MALA, "- trapezoid + kinetic", "+ trapezoid - kinetic", (LAWS,)),
    Mutant(
        "wrong sign of f", _MALA, "return proposal.value - state.value", "return state.value - proposal.value", (LAWS,)
    ),
    Mutant("wrong sign of the score", _MALA, "state.x + 0.5 * step_size", "state.x - 0.5 * step_size", (LAWS,)),
    Mutant("noise off by sqrt 2", _MALA, "step_size**0.5 * noise", "(2 * step_size) ** 0.5 * noise", (LAWS,)),
    Mutant("no noise", _MALA, " + step_size**0.5 * noise", " + 0 * noise", (LAWS,)),
    Mutant("drift forgotten in the ratio", _MALA, "(state.score + proposal.score)", "state.score", (LAWS,)),
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
        "log_ratio.isfinite() & proposal.score.isfinite().all(1)",
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
        "return value, score @ self.factor\n",
        "return value, score @ self.factor.T\n",
        (WHITENING,),
    ),
    Mutant(
        "coordinates that do not come back",
        "tasks/mcmc/preconditioning.py",
        "self.mean + z @ self.factor.T",
        "self.mean + z @ self.factor",
        (WHITENING,),
    ),
    # Swaps.
    Mutant(
        "copied swap",
        _EXCHANGE,
        "return _where(is_swapped, new_upper, upper), _where",
        "return upper, _where",
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
        "1 + level * num_steps + k)",
        "1 + k)",
        (EXCHANGE,),
    ),
    # Random numbers.
    Mutant("every step has the same numbers", _STREAMS, "self.step, self.phase]", "0, self.phase]", (STREAMS,)),
    Mutant("every phase has the same numbers", _STREAMS, "self.step, self.phase]", "self.step, 0]", (STREAMS,)),
    Mutant("every block has the same numbers", _STREAMS, "{self.seed}/{self.block}", "{self.seed}", (STREAMS,)),
    Mutant("normals and uniforms of the same bits", _STREAMS, "self._generator(1)", "self._generator(0)", (STREAMS,)),
    Mutant(
        "numbers that cannot be drawn again",
        _STREAMS,
        "np.random.Philox(key=np.array(self.key, dtype=np.uint64), counter=counter)",
        "np.random.Philox()",
        (STREAMS,),
    ),
    # The ladder.
    Mutant(
        "adaptation never stopped",
        _ANNEALING,
        "        accepted += info.is_accepted.cpu()\n",
        "        accepted += info.is_accepted.cpu()\n"
        "        step_size *= math.exp(0.3 * (float(info.is_accepted.float().mean()) - 0.574))\n",
        (KERNELS,),
    ),
    Mutant(
        "steps of a level share their numbers", _ANNEALING, "stream.at(phase, k + 1)", "stream.at(phase, 1)", (KERNELS,)
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
    # What is kept.
    Mutant(
        "draw of a chain kept twice", _PROGRAM, "state, level_stats = adjust(", "_, level_stats = adjust(", (PROGRAM,)
    ),
    Mutant(
        "draws of a segment reuse numbers",
        _PROGRAM,
        "len(program.ladder.levels) + draw\n",
        "len(program.ladder.levels)\n",
        (PROGRAM,),
    ),
    Mutant(
        "rejected draws dropped",
        _PROGRAM,
        "        kept.append((state, level_stats))\n",
        "        if bool(level_stats.accepted.any()):\n            kept.append((state, level_stats))\n",
        (PROGRAM,),
    ),
    Mutant(
        "segments that overlap",
        _PROGRAM,
        "first = segment * program.draws_per_segment",
        "first = segment * (program.draws_per_segment - 1)",
        (PROGRAM,),
    ),
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
)
