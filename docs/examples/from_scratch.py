"""An energy-based diffusion model in plain torch: the shortest explanation of what scorefleet does.

    python docs/examples/from_scratch.py        # half a minute

1. Add noise to data, `x' = sqrt(1 - beta) x + sqrt(beta) eps`: from hardly any (beta near 0) to noise alone (near 1).
2. Fit a log density `f(x', beta)`, up to a constant, by denoising score matching: regress the gradient of f on the
   score of the noise that was added, `-eps / sqrt(beta)` (Vincent 2011; Song and Ermon 2019).
3. Draw: start from noise, and lower beta step by step. At each level take a few steps of the Metropolis-adjusted
   Langevin algorithm. Its test compares densities, which `f` can and a score alone cannot: so the chains sample
   `exp f / Z` of their level exactly, whatever the step size (Roberts and Tweedie 1996).
"""

import math

import torch
from torch import Tensor, nn

NUM_STEPS, BATCH_SIZE = 3000, 512
LEVELS = torch.sigmoid(torch.linspace(5.0, -5.0, 24))
"""Noise levels beta, from .993 down to .0067, where the noise has 8 % of the data's standard deviation."""

STEPS_PER_LEVEL = 8


def two_moons(num_rows: int) -> Tensor:
    """Rows [row, 2] on two half circles, with mean 0 and standard deviation about 1."""
    angle = math.pi * torch.rand(num_rows)
    upper = torch.rand(num_rows) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    rows = torch.stack([x, y], dim=1) + 0.08 * torch.randn(num_rows, 2)
    return (rows - torch.tensor([0.5, 0.25])) / torch.tensor([0.87, 0.5])


class Energy(nn.Module):
    """`f(x, beta) = -|x|^2 / 2 + network(x, logit beta)`: a normal where the network has nothing to say."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(3, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, beta: Tensor) -> Tensor:
        """Log densities [row] in nats of points [row, 2] at noise levels [row], each level up to a constant."""
        given = torch.cat([x, beta.logit()[:, None] / 4], dim=1)
        return -0.5 * x.square().sum(1) + self.network(given)[:, 0]

    def value_and_score(self, x: Tensor, beta: Tensor, is_training: bool = False) -> tuple[Tensor, Tensor]:
        """`f` and its gradient by x."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = self(x, beta)
            (score,) = torch.autograd.grad(value.sum(), x, create_graph=is_training)
        return value, score


def denoising_loss(energy: Energy, rows: Tensor) -> Tensor:
    """`E |sqrt(beta) grad f(x', beta) + eps|^2`: least where grad f is the score of the noised data."""
    beta = torch.sigmoid(10 * torch.rand(len(rows)) - 5)
    noise = torch.randn_like(rows)
    noised = (1 - beta).sqrt()[:, None] * rows + beta.sqrt()[:, None] * noise
    _, score = energy.value_and_score(noised, beta, is_training=True)
    return (beta.sqrt()[:, None] * score + noise).square().sum(1).mean()


def train(rows: Tensor, num_steps: int = NUM_STEPS) -> Energy:
    """Fit an energy with AdamW on a cosine schedule."""
    energy = Energy()
    optimizer = torch.optim.AdamW(energy.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for _ in range(num_steps):
        optimizer.zero_grad()
        denoising_loss(energy, rows[torch.randint(len(rows), (BATCH_SIZE,))]).backward()
        optimizer.step()
        schedule.step()
    return energy


def mala_step(energy: Energy, x: Tensor, beta: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """One Metropolis-adjusted Langevin step of each chain [chain, 2]; and which proposals were accepted.

    The proposal `y ~ N(x + step grad f(x), 2 step I)` is accepted with probability

        min(1, exp(f(y) - f(x)) q(x | y) / q(y | x)),   ln q(y | x) = -|y - x - step grad f(x)|^2 / (4 step).
    """
    value, score = energy.value_and_score(x, beta)
    y = x + step * score + math.sqrt(2 * step) * torch.randn_like(x)
    value_there, score_there = energy.value_and_score(y, beta)
    forth = -(y - x - step * score).square().sum(1) / (4 * step)
    back = -(x - y - step * score_there).square().sum(1) / (4 * step)
    is_accepted = torch.rand(len(x)).log() < value_there - value + back - forth
    return torch.where(is_accepted[:, None], y, x), is_accepted


@torch.no_grad()
def draw(energy: Energy, num_chains: int) -> tuple[Tensor, list[float]]:
    """Anneal chains from noise to the lowest level; where they end, and the acceptance rate of each level."""
    x, rates = torch.randn(num_chains, 2), []
    for level in LEVELS:
        beta, accepted = level.expand(num_chains), []
        for _ in range(STEPS_PER_LEVEL):
            x, is_accepted = mala_step(energy, x, beta, step=0.3 * float(level))
            accepted.append(is_accepted.float().mean())
        rates.append(float(torch.stack(accepted).mean()))
    return x / (1 - LEVELS[-1]).sqrt(), rates


def energy_distance(a: Tensor, b: Tensor) -> float:
    """`2 E|A - B| - E|A - A'| - E|B - B'|`: 0 for one distribution (Szekely and Rizzo 2013)."""
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


def main(num_steps: int = NUM_STEPS) -> tuple[float, float, list[float]]:
    """Train, draw, and compare with rows that were held out, as another sample of the data is."""
    torch.manual_seed(0)
    rows, held_out, others = two_moons(4000), two_moons(2000), two_moons(2000)
    draws, rates = draw(train(rows, num_steps), 2000)
    of_draws, of_data = energy_distance(draws, held_out), energy_distance(others, held_out)
    print(f"acceptance {min(rates):.2f} to {max(rates):.2f}")
    print(f"energy distance to held-out rows: {of_draws:.4f} of draws, {of_data:.4f} of other rows")
    return of_draws, of_data, rates


if __name__ == "__main__":
    main()
