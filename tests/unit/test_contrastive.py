import torch

from scorefleet.tasks.ebm.contrastive import contrastive_divergence, negatives
from scorefleet.tasks.ebm.energies import value_and_score
from scorefleet.tasks.mcmc.streams import Stream

NUM_ROWS = 20_000


def _normal(log_precision):
    return lambda x: -0.5 * log_precision.exp() * x.square().sum(1)


def _rows():
    return 0.5 * torch.randn(NUM_ROWS, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _gradient(log_precision, start, num_steps):
    theta = torch.tensor(log_precision, dtype=torch.float64, requires_grad=True)

    def target(x):
        return value_and_score(lambda y, _: _normal(theta.detach())(y), x, torch.zeros(len(x)))

    ends = negatives(Stream(0, 0).at(0, 0), target, start, 0.2, num_steps)
    contrastive_divergence(_normal(theta), _rows(), ends).mean().backward()
    assert theta.grad is not None
    return float(theta.grad), ends


LOG_FOUR = 1.3862943611198906


def test_the_gradient_vanishes_at_the_precision_of_the_data_and_points_there_from_both_sides():
    """Rows of N(0, 1/4). The gradient in ln P is `(P/2) (E_data x^2 - E_negative x^2)`; at P = 4, where the chains keep
    the law of the data, its standard error is at most `2 sqrt(2 * 2/16 / 20,000) = .007`, and 5 of them (false alarm
    6e-7) are .036.
    """
    at, below, above = (_gradient(value, _rows(), 3)[0] for value in (LOG_FOUR, LOG_FOUR - 0.7, LOG_FOUR + 0.7))
    assert abs(at) < 0.036
    assert below < -0.1
    assert above > 0.1


def test_the_sign_it_is_the_density_at_the_negatives_less_that_at_the_data():
    f = _normal(torch.tensor(0.0))
    loss = contrastive_divergence(f, torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    torch.testing.assert_close(loss, torch.tensor([-4.5 + 0.5]))


def test_persistent_particles_forget_where_they_started():
    """From 3 standard deviations away, 40 calls of 5 steps reach N(0, 1/4), which 5 steps do not: E x^2 is within 5
    standard errors (.0125, false alarm 6e-7).
    """
    particles = torch.full((NUM_ROWS, 1), 1.5, dtype=torch.float64)

    def target(x):
        return value_and_score(lambda y, _: _normal(torch.tensor(LOG_FOUR))(y), x, torch.zeros(len(x)))

    for call in range(40):
        particles = negatives(Stream(0, 0).at(0, call), target, particles, 0.02, 5)
        if call == 0:
            assert abs(float(particles.square().mean()) - 0.25) > 0.05
    assert abs(float(particles.square().mean()) - 0.25) < 0.0125


def test_negatives_are_a_pure_function_of_their_random_numbers_and_carry_no_gradient():
    first, second = (_gradient(0.3, _rows(), 2)[1] for _ in range(2))
    assert torch.equal(first, second)
    assert not first.requires_grad

    def target(x):
        return value_and_score(lambda y, _: -0.5 * y.square().sum(1), x, torch.zeros(len(x)))

    start = torch.zeros(4, 1, dtype=torch.float64)
    one, two, another = (
        negatives(Stream(0, 0).at(0, 0), target, start, 0.2, 1),
        negatives(Stream(0, 0).at(0, 0), target, start, 0.2, 2),
        negatives(Stream(0, 0).at(0, 1), target, start, 0.2, 1),
    )
    assert not torch.equal(one, two)
    assert not torch.equal(one, another)
    continued = negatives(Stream(0, 0).at(1, 0), target, one, 0.2, 1)
    torch.testing.assert_close(continued, two)
