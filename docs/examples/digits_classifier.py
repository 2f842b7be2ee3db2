"""Which digit a picture shows, a classifier for `scorefleet generate`.

    --classifier docs.examples.digits_classifier:log_probabilities --label 7

A small network that is fitted once a process, the same everywhere, to scikit-learn's digits with noise of every size on
them: so it says little where chains have much noise still, and leads them to the class as the noise goes.
"""

from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

NUM_STEPS, BATCH_SIZE = 600, 256


def log_probabilities(x: Tensor) -> Tensor:
    """Pictures [row, 64] with pixels from 0 to 16 -> log probabilities of the ten digits [row, 10]."""
    return network()(features(x.float())).log_softmax(1)


def features(x: Tensor) -> Tensor:
    """Pixels in units of their size, and that size, which tells how noisy they are; black is anything below 0."""
    x = (nn.functional.softplus(x) - 5) / 6
    size = (1 + x.square().mean(1, keepdim=True)).sqrt()
    return torch.cat([x / size, size.log()], dim=1)


@cache
def network() -> nn.Module:
    """Fitted by cross-entropy to noised pictures."""
    pictures, labels = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(65, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 10))
        optimizer = torch.optim.AdamW(made.parameters(), 2e-3, weight_decay=0.1)
        for _ in range(NUM_STEPS):
            chosen = torch.randint(len(labels), (BATCH_SIZE,))
            x = pictures[chosen].float()
            x = torch.where(x == 0, -10 * torch.rand(x.shape), x)  # the energy keeps black anywhere below 0
            noise = 4 * 10 ** (3 * torch.rand(BATCH_SIZE, 1) - 1.3)
            loss = nn.functional.cross_entropy(made(features(x + noise * torch.randn(x.shape))), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return made.requires_grad_(False).eval()
