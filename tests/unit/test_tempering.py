import math

import pytest
import torch

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.tempering.tempering import gaussian, tempered, tempering_ladder


def half_line(x):
    """Exponential on the positive half of the first axis."""
    return torch.where(x[:, 0] > 0, -x[:, 0], -torch.inf), torch.tensor([[-1.0, 0.0]]).to(x).expand_as(x)


def test_the_reference_is_normalised():
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    value, score = gaussian(2.0)(x)
    law = torch.distributions.Normal(0.0, 2.0)
    torch.testing.assert_close(value, law.log_prob(x).sum(1))
    torch.testing.assert_close(score, -x / 4)


def test_between_the_ends_value_and_score_are_weighted_means():
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    value, score = tempered(half_line, gaussian(1.0))(0.25)(x)
    assert float(value) == pytest.approx(0.25 * -1 + 0.75 * (-2.5 - math.log(2 * math.pi)))
    assert score[0].tolist() == pytest.approx([0.25 * -1 + 0.75 * -1, 0.75 * -2])


@pytest.mark.parametrize("b", [0.0, 0.5, 1.0])
def test_outside_the_support_only_the_reference_has_mass(b):
    value, _ = tempered(half_line, gaussian(1.0))(b)(torch.tensor([[-1.0, 0.0]]))
    assert bool(value.isfinite()) == (b == 0.0)
    assert not value.isnan().any()


def test_the_ladder_goes_from_the_reference_to_the_target():
    levels = tempering_ladder(5)
    assert levels[0] == 0.0
    assert levels[-1] == 1.0
    assert list(levels) == sorted(levels)
    with pytest.raises(UsageError, match="at least 3"):
        tempering_ladder(2)
