"""Bugs in random numbers, in what is compiled, and in what a chain keeps."""

from tests.mutants.mutant import Mutant

FUSED = "tests/unit/test_fused.py"
KERNELS = "tests/unit/test_kernels.py"
LAWS = "tests/statistical/test_laws.py"
NATIVE = "tests/unit/test_native.py"
PASSES = "tests/unit/test_passes.py"
PROGRAM = "tests/unit/test_program.py"
STREAMS = "tests/unit/test_streams.py"

_FUSED = "tasks/ebm/fused.py"
_NORMALS = "tasks/mcmc/normals.cpp"
_PASSES = "tasks/mcmc/kernels/mala.cpp"
_PERCEPTRON = "tasks/ebm/perceptron.cpp"
_PROGRAM = "tasks/mcmc/noise_ladder/program.py"
_STREAMS = "tasks/mcmc/streams.py"

MUTANTS = (
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
        "tasks/store/layout.py",
        "first = start + segment * length",
        "first = start + segment * (length - 1)",
        (PROGRAM,),
    ),
)
