"""Bugs in kernels and in the Metropolis test."""

from tests.mutants.mutant import Mutant

BEND = "tests/unit/test_bend.py"
HMC = "tests/unit/test_hmc.py"
JUMP = "tests/statistical/test_jump_law.py"
KERNELS = "tests/unit/test_kernels.py"
LAWS = "tests/statistical/test_laws.py"
MALA = "tests/unit/test_mala.py"
MANIFEST = "tests/unit/test_manifest.py"
MIXTURE = "tests/unit/test_mixture.py"
PASSES = "tests/unit/test_passes.py"
SKEW = "tests/unit/test_skew.py"
TRIANGULAR = "tests/unit/test_triangular.py"
WARM_UP = "tests/unit/test_warmup.py"
WHITENING = "tests/unit/test_preconditioning.py"

_BEND = "tasks/mcmc/coordinates/bend.py"
_HMC = "tasks/mcmc/kernels/hmc.py"
_JUMP = "tasks/mcmc/kernels/jump.py"
_KEEP = "tasks/mcmc/keep.py"
_LECTURE = "tasks/mcmc/kernels/lecture_mala.py"
_MALA = "tasks/mcmc/kernels/mala.py"
_MANIFEST = "tasks/store/manifest.py"
_METROPOLIS = "tasks/mcmc/kernels/metropolis.py"
_MIXTURE = "tasks/mcmc/warmup/mixture.py"
_SKEW = "tasks/mcmc/coordinates/skew.py"
_TRIANGULAR = "tasks/mcmc/coordinates/triangular.py"
_WARM_UP = "tasks/mcmc/warmup/warmup.py"

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
        "torch.where(condition, yes.value, no.value)",
        "no.value",
        (LAWS,),
    ),
    Mutant(
        "stale gradient after acceptance",
        _METROPOLIS,
        "torch.where(condition[:, None], yes.score, no.score)",
        "no.score",
        (KERNELS,),
    ),
    Mutant(
        "energy of the proposal after rejection",
        _METROPOLIS,
        "torch.where(condition, yes.value, no.value)",
        "yes.value",
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
    Mutant(
        "adjusted where it says unadjusted", "tasks/mcmc/kernels/langevin.py", "zeros_like", "ones_like", (KERNELS,)
    ),
    Mutant("lecture's form with MALA's drift", _LECTURE, "+ step_size * state", "+ 0.5 * step_size * state", (LAWS,)),
    Mutant("lecture's form with MALA's q", _LECTURE, "(step_size / 2)", "(step_size / 8)", (LAWS,)),
    Mutant("lecture's form without q", _LECTURE, "- drift + kinetic[:, 0]", "", (LAWS,)),
    Mutant(
        "walk that steps by eta",
        "tasks/mcmc/kernels/random_walk.py",
        "step_size**0.5 * random",
        "step_size * random",
        (KERNELS,),
    ),
    Mutant(
        "walk that takes every step",
        "tasks/mcmc/kernels/random_walk.py",
        "proposal.value - state.value",
        "0 * proposal.value",
        (LAWS,),
    ),
    Mutant(
        "Gibbs that never moves the first coordinate",
        "tasks/mcmc/kernels/gibbs.py",
        "random.integers(dim, num_chains, 1)",
        "(1 + random.integers(dim - 1, num_chains, 1))",
        (KERNELS,),
    ),
    Mutant(
        "Gibbs that always shifts upwards",
        "tasks/mcmc/kernels/gibbs.py",
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
        "tasks/mcmc/coordinates/preconditioning.py",
        "else score @ self.factor\n",
        "else score @ self.factor.T\n",
        (WHITENING,),
    ),
    Mutant(
        "coordinates that do not come back",
        "tasks/mcmc/coordinates/preconditioning.py",
        "else z @ self.factor.T)",
        "else z @ self.factor)",
        (WHITENING,),
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
    Mutant("map without its Jacobian", _TRIANGULAR, "return value + log_det,", "return value,", (JUMP,)),
    Mutant(
        "gradient of a map without its Jacobian",
        _TRIANGULAR,
        "[:, 0] + self._log_det_score(z)",
        "[:, 0]",
        (TRIANGULAR,),
    ),
    Mutant(
        "log Z without the volume of bend and skew",
        "tasks/mcmc/coordinates/coordinates.py",
        "sum(layer.log_volume for layer in self._layers())",
        "self.whitening.log_volume",
        (TRIANGULAR,),
    ),
    Mutant("volume without the skew", _TRIANGULAR, "log_scale.sum(1) + m1.log().sum(1)", "log_scale.sum(1)", (JUMP,)),
    Mutant("slope of a skew without its root", _TRIANGULAR, "cosh + z / root * sinh", "cosh + z * sinh", (TRIANGULAR,)),
    Mutant("skew in any case", _SKEW, "after < min(before / 2, before - WORTH_IT)", "True", (SKEW,)),
    Mutant("skew of the wrong sign", _SKEW, "(3 * MEAN_CURVATURE)", "(-3 * MEAN_CURVATURE)", (SKEW,)),
    Mutant("drift that is not shortened", _HMC, "/ (1 + (0.5 * frequency * step_size) ** 2)", "* 1.0", (HMC,)),
    Mutant(
        "drift that depends on the place", _HMC, "drift * half", "drift * half * (1 + 0.1 * state.x.tanh())", (HMC,)
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
        "            objects.put_if_absent(self._objects, entry.path, shard.data)\n",
        "            objects.put_if_absent(self._objects, commit_path(block, segment), to_record(entry))\n"
        "            objects.put_if_absent(self._objects, entry.path, shard.data)\n",
        (MANIFEST,),
    ),
    Mutant("digest that does not see the rows", _MANIFEST, "entry.rows, entry.digest]", "entry.rows]", (MANIFEST,)),
)
