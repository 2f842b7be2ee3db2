import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc.coordinates.preconditioning import Whitening
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import mixture

WEIGHT = torch.tensor([0.3, 0.7]).double()
MEAN = torch.tensor([[-3.0, 0.0], [4.0, 1.0]]).double()
FACTOR = torch.tensor([[[1.0, 0.0], [0.8, 0.6]], [[0.5, 0.0], [0.0, 2.0]]]).double()
TRUTH = mixture.Mixture(WEIGHT.log(), MEAN, FACTOR)


def random(step=0):
    return Stream(0, 0).at(0, step)


def test_the_density_is_that_of_torch_distributions():
    of_each = torch.distributions.MultivariateNormal(MEAN, scale_tril=FACTOR)
    expected = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(WEIGHT), of_each)
    x = 4 * random().normal(50, 2).double()
    torch.testing.assert_close(TRUTH.log_density(x), expected.log_prob(x))


def test_draws_have_the_density_they_are_scored_with():
    """20,000 draws: each axis against its mixture of normals by Kolmogorov-Smirnov at 1e-6."""
    x = TRUTH.draw(random(1), 20_000).numpy()
    scale = (FACTOR @ FACTOR.mT).diagonal(dim1=1, dim2=2).sqrt()
    for axis in range(2):
        near, far = (stats.norm(float(MEAN[k, axis]), float(scale[k, axis])) for k in range(2))
        law = lambda value, near=near, far=far: 0.3 * near.cdf(value) + 0.7 * far.cdf(value)  # noqa: E731
        assert stats.kstest(x[:, axis], law).pvalue > 1e-6


def test_a_mixture_is_pushed_through_a_factor_whose_square_no_cholesky_could_take():
    turn = torch.linalg.qr(random(6).normal(2, 2).double())[0]
    narrow = Whitening(torch.tensor([1.0, 2.0]).double(), turn @ torch.diag(torch.tensor([1.0, 1e-9]).double()))
    pushed = TRUTH.pushed(narrow)
    assert bool((pushed.factor.diagonal(dim1=1, dim2=2) > 0).all())
    assert float(pushed.factor[:, 0, 1].abs().max()) == 0
    expected = narrow.factor @ FACTOR @ (narrow.factor @ FACTOR).mT
    torch.testing.assert_close(pushed.factor @ pushed.factor.mT, expected, rtol=1e-9, atol=1e-18)


def test_two_modes_are_found_with_their_weights():
    """3,200 independent draws: the error of a weight has sd .008 and that of a mean .03 or so; bounds at 6 sd."""
    fitted = mixture.fit(random(2), TRUTH.draw(random(3), 3200).view(50, 64, 2))
    assert len(fitted.mean) == 2
    order = fitted.mean[:, 0].argsort()
    assert float((fitted.log_weight.exp()[order] - WEIGHT).abs().max()) < 0.05
    assert float((fitted.mean[order] - MEAN).abs().max()) < 0.25


def test_rows_that_are_white_are_left_to_the_coordinates():
    x = random(4).normal(3200, 3).double()
    fitted = mixture.fit(random(5), x.view(50, 64, 3))
    assert torch.equal(fitted.factor, torch.eye(3, dtype=torch.float64)[None])


def test_a_gaussian_is_one_component_and_its_fit_is_the_sample_moments():
    x = random(4).normal(3200, 3).double() * torch.tensor([1.0, 3.0, 0.5])
    fitted = mixture.fit(random(5), x.view(50, 64, 3))
    assert len(fitted.mean) == 1
    torch.testing.assert_close(fitted.mean[0], x.mean(0), rtol=0, atol=1e-6)
    torch.testing.assert_close(fitted.factor[0] @ fitted.factor[0].T, torch.cov(x.T), rtol=1e-3, atol=1e-6)


def test_tails_widen_the_whole_and_keep_the_density_normalised():
    wide = mixture.with_tails(TRUTH, 0.1, 2.0)
    torch.testing.assert_close(wide.log_weight.exp().sum(), torch.ones(()).double())
    torch.testing.assert_close(wide.mean[2], WEIGHT @ MEAN)
    x = TRUTH.draw(random(6), 200_000)
    torch.testing.assert_close(wide.factor[2] @ wide.factor[2].T, 4 * torch.cov(x.T), rtol=0.03, atol=0.1)


@pytest.mark.parametrize("scale", [(1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1e-200, 1.0, 1e200)])
def test_of_draws_in_a_plane_or_far_apart_jumps_have_a_density_or_there_are_none(scale):
    x = Stream(3, 0).at(0, 0).normal(20, 16, 3).double() * torch.tensor(scale).double()
    fitted = mixture.with_tails(mixture.fit(Stream(0, 0).at(0, 1), x), 0.1, 1.5)
    if mixture.is_usable(fitted):
        assert bool(fitted.log_density(fitted.draw(Stream(0, 0).at(0, 2), 100)).isfinite().all())
    else:
        assert scale[2] == 1e200
