import pytest
import torch

from scorefleet.tasks.ebm import model, noise, objectives
from scorefleet.tasks.ebm.energies import value_and_score


class GaussianMixture(torch.nn.Module):
    """The exact noised log density of .8 N(-1, .2) + .2 N(2, .2), each coordinate alike and independent, plus
    `offset`.
    """

    def __init__(self, slope: float = 0.0):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(slope, dtype=torch.float64))

    def forward(self, x, logit_beta):
        beta = torch.sigmoid(logit_beta)[:, None, None]
        means, weights = torch.tensor([-1.0, 2.0]), torch.tensor([0.8, 0.2])
        variance = (1 - beta) * 0.2 + beta
        parts = torch.distributions.Normal((1 - beta).sqrt() * means, variance.sqrt()).log_prob(x[:, :, None])
        return (parts + weights.log()).logsumexp(2).sum(1) + self.slope * logit_beta


def _rows(num_rows, dim):
    mode = (torch.rand(num_rows, dim) < 0.2).double()
    return -1 + 3 * mode + 0.2**0.5 * torch.randn(num_rows, dim, dtype=torch.float64)


@pytest.fixture
def batch():
    torch.manual_seed(0)
    rows = _rows(200_000, 2)
    return rows, torch.randn_like(rows), 8 * torch.rand(len(rows), dtype=torch.float64) - 4


def test_denoising_loss_is_the_printed_form_of_equation_11_16(batch):
    x, eps, t = (part[:100] for part in batch)
    noisy, beta = noise.add_noise(x, eps, t), torch.sigmoid(t)[:, None]
    score = torch.randn_like(x)
    printed = (noisy + beta * score - (1 - beta).sqrt() * x).square().sum(1)
    torch.testing.assert_close(objectives.denoising_score_matching(score, eps, t), printed)


def test_time_score_is_the_derivative_along_the_noise_by_finite_differences(batch):
    """At fixed y = x'/sqrt(1-beta), of the density of y, which has the Jacobian (1-beta)^(d/2)."""
    x, eps, t = (part[:50] for part in batch)
    mixture, y = GaussianMixture(), x + torch.exp(t / 2)[:, None] * eps

    def log_density_of_y(level):
        signal = noise.signal_level(level)
        return mixture(signal[:, None] * y, level) + y.shape[1] * signal.log()

    _, time_score = objectives.scores(mixture, noise.add_noise(x, eps, t), t)
    h = 1e-5
    difference = (log_density_of_y(t + h) - log_density_of_y(t - h)) / (2 * h)
    torch.testing.assert_close(time_score.detach(), 2 * difference.detach(), rtol=1e-6, atol=1e-6)


def test_the_true_density_minimises_both_terms(batch):
    """Adding t-dependent mass leaves the score alone and must raise the time-score term; flipping the sign must raise
    both.
    """
    x, eps, t = batch
    right = objectives.EnergyLoss(GaussianMixture(), 1.0)(x, eps, t)
    drifting = objectives.EnergyLoss(GaussianMixture(slope=0.3), 1.0)(x, eps, t)
    torch.testing.assert_close(drifting[0], right[0])
    # The excess is (2 * .3)^2 / (4 d^2) = .0225 in expectation; five standard errors are below .005.
    assert 0.017 < float((drifting[1] - right[1]).detach()) < 0.028

    class Flipped(GaussianMixture):
        def forward(self, x, logit_beta):
            return -super().forward(x, logit_beta)

    flipped = objectives.EnergyLoss(Flipped(), 1.0)(x, eps, t)
    assert float((flipped[0] - right[0]).detach()) > 0.1
    assert float((flipped[1] - right[1]).detach()) > 0.01


def test_denoising_with_the_true_score_is_the_posterior_mean_on_average(batch):
    """E[x | x'] has the mean of x."""
    x, eps, t = batch
    noisy = noise.add_noise(x, eps, t)
    _, score = value_and_score(GaussianMixture(), noisy, t)
    error = noise.denoise(noisy, score, t) - x
    assert abs(float(error.mean())) < 5 * float(error.std()) / error.numel() ** 0.5


def test_every_weight_gets_a_gradient_through_the_double_backward():
    for energy in ("scalar_head", "inner_product"):
        torch.manual_seed(0)
        network = model.build(3, energy, 8, 1)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        loss = objectives.EnergyLoss(network, 0.1)
        sum(loss(torch.randn(16, 3), torch.randn(16, 3), torch.randn(16))).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().sum()) > 0, name
