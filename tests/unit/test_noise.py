import math

import pytest
import torch

from scorefleet.tasks.ebm import noise


def test_noised_standard_normal_stays_standard_normal():
    torch.manual_seed(0)
    x, eps = torch.randn(100_000, 2), torch.randn(100_000, 2)
    for t in (-6.0, 0.0, 6.0):
        noisy = noise.add_noise(x, eps, torch.full((len(x),), t))
        assert abs(float(noisy.var()) - 1) < 0.02  # sd of the estimate: sqrt(2/200,000) = .003


def test_signal_and_noise_levels_are_those_of_the_noise_kernel():
    beta = torch.tensor([0.01, 0.5, 0.99], dtype=torch.float64)
    t = torch.logit(beta)
    torch.testing.assert_close(noise.signal_level(t), (1 - beta).sqrt())
    torch.testing.assert_close(noise.noise_level(t), beta.sqrt())
    torch.testing.assert_close(t, 2 * (beta / (1 - beta)).sqrt().log())
    assert noise.logit_beta_of(0.05) == 2 * math.log(0.05)


def test_tweedie_gives_the_posterior_mean_of_a_gaussian():
    """For x ~ N(m, v): E[x|x'] = m + v sqrt(1-beta) (x' - sqrt(1-beta) m) / ((1-beta) v + beta)."""
    m, v, beta = 1.5, 0.3, torch.tensor([0.2], dtype=torch.float64)
    x, signal, variance = torch.tensor([[0.7]], dtype=torch.float64), (1 - beta).sqrt(), (1 - beta) * v + beta
    score = -(x - signal * m) / variance
    expected = m + v * signal * (x - signal * m) / variance
    torch.testing.assert_close(noise.denoise(x, score, torch.logit(beta)), expected)


def test_training_levels_cover_the_ladder_and_favour_its_middle():
    torch.manual_seed(0)
    t = noise.training_levels(torch.rand(100_000, 2))
    assert float(t.min()) == pytest.approx(noise.LOGIT_BETA_MIN, abs=0.01)
    assert float(t.max()) == pytest.approx(noise.LOGIT_BETA_MAX, abs=0.01)
    near = ((t > -3.0) & (t < 1.0)).float().mean()  # one sd around the normal part's mean
    assert float(near) == pytest.approx(2 / 3 * 0.6827 + 1 / 3 * 4 / 16, abs=0.01)


def test_ladder_goes_from_pure_noise_to_the_lowest_level_in_equal_steps():
    levels = noise.ladder(5, -4.0)
    assert levels.tolist() == [8.0, 5.0, 2.0, -1.0, -4.0]
