import pytest
import torch

from scorefleet.tasks.mcmc.coordinates import bend
from scorefleet.tasks.mcmc.streams import Stream

NUM_DRAWS, NUM_CHAINS = 50, 64
ORDER = [2, 0, 3, 1]


def normal(step=0):
    return Stream(0, 0).at(0, step).normal(NUM_DRAWS * NUM_CHAINS, 4).double()


def bent_rows():
    """A funnel whose mouth is the third coordinate, with a linear and a square dependence besides."""
    z = normal()
    v = 2 * z[:, 0]
    a = (v / 2).exp() * z[:, 1]
    b = 0.5 * a + 0.7 * z[:, 0].square() + (v / 2).exp() * z[:, 2]
    c = 3 * v + z[:, 3]
    return torch.stack([a, c, v, b], 1)


def learned(rows=None):
    rows = bent_rows() if rows is None else rows
    return bend.fit(rows.view(NUM_DRAWS, NUM_CHAINS, 4))


def is_of(fitted, row):
    """The coordinates of x in which coordinate `row` of the order is the last one that counts."""
    return [i for i in range(4) if int(fitted.factor[i].nonzero().max()) == row]


def test_a_funnel_and_a_square_are_straightened():
    """3,200 independent rows: correlations of the straight coordinates, of their squares and of their log sizes with
    the first have sd .018; bound at 5 sd. The slopes are 1 in units of the first, with an error of some
    1/sqrt(2*3200) = .013; bound at .1, for the clipped squares cost a little.
    """
    fitted = learned()
    assert is_of(fitted, 0) == [2]
    z = fitted.to_straight(bent_rows())
    first = z[:, 0]
    for other in z[:, 1:].T:
        for made in (other, other.square(), (other.abs() + 1e-3).log()):
            for of_first in (first, first.square()):
                assert abs(float(torch.corrcoef(torch.stack([of_first, made]))[0, 1])) < 0.09
    is_scaled = [row for row in range(4) if is_of(fitted, row)[-1] in (0, 3)]
    torch.testing.assert_close(fitted.slope[is_scaled, 0], torch.ones(2).double(), rtol=0, atol=0.1)


def test_the_order_puts_first_what_others_depend_on_wherever_it_stands():
    rows = bent_rows()
    for column in range(4):
        order = torch.arange(4).tolist()
        order[column], order[2] = order[2], order[column]
        assert int(bend.ordering(rows[:, order])[0]) == column


def test_a_gaussian_is_not_bent():
    """12 means and slopes in the screen, each a t statistic beyond 4 with probability 1.7e-4 at 63 degrees of freedom:
    a false alarm of .002 a set of draws."""
    assert learned(normal(1) @ normal(2)[:4]) is None


@pytest.mark.parametrize("scale", [(1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1e200), (1e-160, 1.0, 1e150)])
def test_draws_that_no_regression_bears_have_no_bend_or_one_of_finite_numbers(scale):
    x = normal().view(NUM_DRAWS, NUM_CHAINS, 4)[:, :, :3] * torch.tensor(scale).double()
    x = torch.cat([x, x[:, :, :1]], 2)  # two coordinates are equal
    bent = bend.fit(x)
    assert bent is None or all(bool(part.isfinite().all()) for part in bent)
