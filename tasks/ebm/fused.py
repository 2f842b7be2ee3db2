"""The value and score of a trained energy in one call, 1.5 times as fast as autograd on a CPU.

At one noise level an energy is a plain perceptron: the embedding of the level is a constant, so scale and shift of
every block, and the weights of its norm, go into the weights of its first layer. What is left is written down as
instructions, forward and backward, for `perceptron.cpp`, which takes a tile of chains through all of them at once.
"""

import ctypes
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from scorefleet.tasks.ebm.energies import InnerProduct, ScalarHead
from scorefleet.tasks.ebm.networks import Norm, ResidualBlock, ResidualMLP
from scorefleet.tasks.mcmc import native
from scorefleet.tasks.mcmc.kernels.metropolis import Target

SOURCE = Path(__file__).with_name("perceptron.cpp")
LINEAR, NORM, NORM_BACK, GATE = range(4)
PLAIN, SILU, SLOPE = range(3)
NOWHERE = -1


class Instruction(ctypes.Structure):
    """As in `perceptron.cpp`."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("kind", "finish", "num_in", "num_out")),
        *((name, ctypes.c_int64) for name in ("source", "target", "add", "slope", "normed")),
        *((name, ctypes.c_void_p) for name in ("weight", "bias")),
    ]


class Frame(ctypes.Structure):
    """As in `perceptron.cpp`."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("num_rows", "dim", "output", "gradient")),
        *((name, ctypes.c_float) for name in ("constant", "quadratic", "inner")),
    ]


class Tape:
    """Instructions, the rows of memory that they use, and the tensors that they point into."""

    def __init__(self, library: ctypes.CDLL, dim: int):
        self.library, self.dim, self.num_rows = library, dim, dim + 1
        self.instructions: list[Instruction] = []
        self.tensors: list[Tensor] = []

    @property
    def ones(self) -> int:
        """The row that holds 1."""
        return self.dim

    def place(self, num_rows: int) -> int:
        """Rows of memory that nothing else uses."""
        self.num_rows += num_rows
        return self.num_rows - num_rows

    def linear(
        self,
        weight: Float[Tensor, "out in"],
        source: int,
        target: int,
        bias: Tensor | None = None,
        finish: int = PLAIN,
        slope: int = NOWHERE,
        add: int = NOWHERE,
    ) -> None:
        """`target = finish(weight source + bias + add)`."""
        num_out, num_in = weight.shape
        sizes = [self.library.rows_per_block()] * (num_out // self.library.rows_per_block())
        sizes += [size for size in (8, 4, 2, 1) if num_out % self.library.rows_per_block() & size]
        packed = torch.cat([rows.T.flatten() for rows in weight.split(sizes)])
        self._add(LINEAR, num_in, source, target, packed, bias, finish=finish, num_out=num_out, slope=slope, add=add)

    def norm(self, width: int, source: int) -> tuple[int, int]:
        """Where the normalised features are, and the inverses of their standard deviations."""
        normed, inverse_sd = self.place(width), self.place(1)
        self._add(NORM, width, source, normed, slope=inverse_sd)
        return normed, inverse_sd

    def norm_back(self, width: int, source: int, target: int, normed: tuple[int, int], add: int = NOWHERE) -> None:
        """The gradient behind a norm, given the one before it."""
        self._add(NORM_BACK, width, source, target, normed=normed[0], slope=normed[1], add=add)

    def gate(self, norm: Norm, source: int, target: int, slope: int) -> None:
        """`silu(weight source + bias)`."""
        self._add(GATE, len(norm.weight), source, target, norm.weight, norm.bias, slope=slope)

    def _add(
        self,
        kind: int,
        num_in: int,
        source: int,
        target: int,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        **fields: int,
    ) -> None:
        kept = [None if t is None else t.detach().to(torch.float32, copy=True).contiguous() for t in (weight, bias)]
        self.tensors += [tensor for tensor in kept if tensor is not None]
        pointers = [None if tensor is None else tensor.data_ptr() for tensor in kept]
        nowhere = {"add": NOWHERE, "slope": NOWHERE, "normed": NOWHERE}
        places: dict[str, Any] = nowhere | fields | {"weight": pointers[0], "bias": pointers[1]}
        self.instructions.append(Instruction(kind=kind, num_in=num_in, source=source, target=target, **places))

    def target(self, output: int, gradient: int, constant: float, quadratic: float, inner: float) -> Target:
        """The density whose network the instructions are: see `perceptron.cpp` for what the numbers mean."""
        frame = Frame(self.num_rows, self.dim, output, gradient, constant, quadratic, inner)
        program = (Instruction * len(self.instructions))(*self.instructions)
        types = (
            native.ADDRESS,
            native.ADDRESS,
            native.COUNT,
            native.ADDRESS,
            native.ADDRESS,
            native.ADDRESS,
            native.COUNT,
        )
        called = native.function(SOURCE, "value_and_score", *types)
        assert called is not None

        def evaluate(x: Float[Tensor, "chain dim"]) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain dim"]]:
            if x.dtype != torch.float32 or x.shape[1:] != (self.dim,):
                raise ValueError(f"points must be float32 [row, {self.dim}], but got {x.dtype} {tuple(x.shape)}")
            x = x.contiguous()
            value, score = native.empty(x.shape[:1]), native.empty(x.shape)
            num_instructions = len(self.instructions)  # which names the tape, and so keeps the weights
            addresses = x.data_ptr(), value.data_ptr(), score.data_ptr()
            called(ctypes.addressof(frame), ctypes.addressof(program), num_instructions, *addresses, len(x))
            return value, score

        return evaluate


def target(energy: nn.Module, logit_beta: float) -> Target | None:
    """`x -> (f, grad f)` of an energy at one level; None where it must be left to autograd."""
    library = native.library(SOURCE)
    parameter = next(energy.parameters())
    if library is None or parameter.device.type != "cpu" or parameter.dtype != torch.float32:
        return None
    with torch.no_grad():
        if isinstance(energy, InnerProduct):
            return _inner_product(library, energy, logit_beta)
        if isinstance(energy, ScalarHead):
            return _scalar_head(library, energy, logit_beta)
    return None


def multilayer(network: nn.Sequential) -> Target | None:
    """`x -> (f, grad f)` of a perceptron `Linear, SiLU, ..., Linear` with one output that is itself a log density."""
    library = native.library(SOURCE)
    if library is None:
        return None
    *hidden, last = [layer for layer in network if isinstance(layer, nn.Linear)]
    tape = Tape(library, hidden[0].in_features)
    places = [0]
    slopes = []
    for layer in hidden:
        slopes.append(tape.place(layer.out_features))
        places.append(tape.place(layer.out_features))
        tape.linear(layer.weight, places[-2], places[-1], layer.bias, SILU, slopes[-1])
    output, gradient = tape.place(1), tape.place(tape.dim)
    tape.linear(last.weight, places[-1], output)
    tape.linear(last.weight.T, tape.ones, places[-1], finish=SLOPE, slope=slopes[-1])
    for k in range(len(hidden) - 1, 0, -1):
        tape.linear(hidden[k].weight.T, places[k + 1], places[k], finish=SLOPE, slope=slopes[k - 1])
    tape.linear(hidden[0].weight.T, places[1], gradient)
    return tape.target(output, gradient, float(last.bias), quadratic=0.0, inner=0.0)


def _inner_product(library: ctypes.CDLL, energy: InnerProduct, logit_beta: float) -> Target:
    """`f = ln N(x; 0, I) + <x, F(x)> / sigma`: the gradient of F is asked for along `x / sigma`."""
    network, inner = energy.network, math.exp(-logit_beta / 2)
    tape = Tape(library, network.first.in_features)
    output, gradient = _residual(tape, network, logit_beta, inner * network.last.weight.T, 0)
    return tape.target(output, gradient, -0.5 * tape.dim * math.log(2 * math.pi), quadratic=1.0, inner=inner)


def _scalar_head(library: ctypes.CDLL, energy: ScalarHead, logit_beta: float) -> Target:
    """`f = ln N(x; 0, V) + h(w)`, `w = V^(-1/2) x`: the perceptron sees w."""
    network, beta = energy.network, 1 / (1 + math.exp(-logit_beta))
    variance = (1 - beta) * energy.anchor.variances + beta
    whiten = energy.anchor.basis / variance.sqrt()
    tape = Tape(library, network.first.in_features)
    output, gradient = _residual(tape, network, logit_beta, network.last.weight.T, tape.ones)
    constant = -0.5 * (tape.dim * math.log(2 * math.pi) + float(variance.log().sum()))
    of_white = tape.target(output, gradient, constant, quadratic=1.0, inner=0.0)

    def evaluate(x: Float[Tensor, "chain dim"]) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain dim"]]:
        value, score = of_white(x @ whiten)
        return value, score @ whiten.T

    return evaluate


def _residual(
    tape: Tape, network: ResidualMLP, logit_beta: float, seed: Float[Tensor, "width out"], along: int
) -> tuple[int, int]:
    """Where F is, and its gradient along `seed @ along`."""
    width = network.first.out_features
    hidden, other = tape.place(width), tape.place(width)
    output, gradient = tape.place(network.last.out_features), tape.place(tape.dim)
    tape.linear(network.first.weight, 0, hidden, network.first.bias)
    back: list[Callable[[], None]] = []
    embedding = network.embedding(torch.tensor([logit_beta]))
    embedding = torch.cat([embedding, embedding.new_zeros(1, network.num_conditions)], dim=1)
    for block in network.blocks:
        assert isinstance(block, ResidualBlock)
        back.append(_block(tape, block, embedding, hidden, other))
    normed, slope = tape.norm(width, hidden), tape.place(width)
    tape.gate(network.norm, normed[0], other, slope)
    tape.linear(network.last.weight, other, output)
    tape.linear(seed, along, other, finish=SLOPE, slope=slope)
    tape.norm_back(width, other, hidden, normed)
    for go_back in reversed(back):
        go_back()
    tape.linear(network.first.weight.T, hidden, gradient)
    return output, gradient


def _block(tape: Tape, block: ResidualBlock, embedding: Tensor, hidden: int, other: int) -> Callable[[], None]:
    """A block's way forward, from `hidden` to `hidden`; what is returned writes its way back."""
    width = block.inner.out_features
    scale, shift = block.modulation(embedding)[0].chunk(2)
    bias = (block.inner.bias + block.inner.weight @ block.norm.bias) * (1 + scale) + shift
    weight = (1 + scale)[:, None] * block.inner.weight * block.norm.weight
    normed, slope = tape.norm(width, hidden), tape.place(width)
    tape.linear(weight, normed[0], other, bias, SILU, slope)
    tape.linear(block.outer.weight, other, hidden, block.outer.bias, add=hidden)

    def go_back() -> None:
        tape.linear(block.outer.weight.T, hidden, other, finish=SLOPE, slope=slope)
        aside = tape.place(width)
        tape.linear(weight.T, other, aside)
        tape.norm_back(width, aside, hidden, normed, add=hidden)

    return go_back
