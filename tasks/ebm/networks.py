"""Networks that an energy is built on: a point and a noise level in, a vector out."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

NUM_FREQUENCIES = 16


class LevelEmbedding(nn.Module):
    """Fourier features of the noise level `t = logit beta`, `[sin, cos](omega_k t)`, `omega_k` from 1/16 to 2."""

    frequencies: Tensor

    def __init__(self, num_frequencies: int = NUM_FREQUENCIES):
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(-4, 1, num_frequencies, base=2.0))

    def forward(self, logit_beta: Float[Tensor, " row"]) -> Float[Tensor, "row feature"]:
        angles = logit_beta[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class Norm(nn.LayerNorm):
    """Layer normalisation. Torch's own, which is faster, has a wrong third derivative (torch 2.13, silently), which
    objectives with a divergence in them need: they turn `is_fused` off.
    """

    is_fused = True

    def forward(self, input: Float[Tensor, "row width"]) -> Float[Tensor, "row width"]:
        if self.is_fused:
            return super().forward(input)
        centred = input - input.mean(1, keepdim=True)
        return centred * (centred.square().mean(1, keepdim=True) + self.eps).rsqrt() * self.weight + self.bias


class ResidualBlock(nn.Module):
    """`h + W2 dropout(silu(W1 norm(h) * (1 + scale) + shift))`, scale and shift from the embedding (FiLM)."""

    def __init__(self, width: int, num_features: int, dropout: float):
        super().__init__()
        self.norm = Norm(width)
        self.inner = nn.Linear(width, width)
        self.modulation = nn.Linear(num_features, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, hidden: Float[Tensor, "row width"], embedding: Float[Tensor, "row feature"]
    ) -> Float[Tensor, "row width"]:
        scale, shift = self.modulation(embedding).chunk(2, dim=1)
        inner = self.inner(self.norm(hidden)) * (1 + scale) + shift
        return hidden + self.outer(self.dropout(nn.functional.silu(inner)))


class ResidualMLP(nn.Module):
    """A residual multilayer perceptron whose last layer starts at zero and has no bias.

    Without a bias there is no parameter that the gradient of a scalar output cannot see, which data-parallel training
    would refuse. The embedding holds the noise level and, if there is one, a condition: what else is known of a row.
    """

    def __init__(
        self, num_inputs: int, num_outputs: int, width: int, num_blocks: int, dropout: float, num_conditions: int
    ):
        super().__init__()
        self.num_conditions = num_conditions
        self.embedding = LevelEmbedding()
        self.first = nn.Linear(num_inputs, width)
        num_features = 2 * NUM_FREQUENCIES + num_conditions
        self.blocks = nn.ModuleList(ResidualBlock(width, num_features, dropout) for _ in range(num_blocks))
        self.norm = Norm(width)
        self.last = nn.Linear(width, num_outputs, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(
        self,
        x: Float[Tensor, "row dim"],
        logit_beta: Float[Tensor, " row"],
        condition: Float[Tensor, "row condition"] | None = None,
    ) -> Float[Tensor, "row output"]:
        if condition is None:
            condition = x.new_zeros(len(x), self.num_conditions)
        embedding = torch.cat([self.embedding(logit_beta), condition], dim=1)
        hidden = self.first(x)
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return self.last(nn.functional.silu(self.norm(hidden)))
