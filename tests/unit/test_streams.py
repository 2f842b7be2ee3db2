import numpy as np
import pytest
import torch
from scipy import stats

from scorefleet.tasks.mcmc.streams import Stream


def test_the_same_place_gives_the_same_numbers():
    first, again = Stream(3, 5).at(1, 2), Stream(3, 5).at(1, 2)
    torch.testing.assert_close(first.normal(4, 3), again.normal(4, 3), rtol=0, atol=0)
    torch.testing.assert_close(first.uniform(9), again.uniform(9), rtol=0, atol=0)


@pytest.mark.parametrize(
    "other",
    [
        Stream(4, 5).at(1, 2),
        Stream(3 + 2**32, 5).at(1, 2),
        Stream(3, 6).at(1, 2),
        Stream(3, 5, "tuning").at(1, 2),
        Stream(3, 5).at(2, 1),
        Stream(3, 5).at(2, 2),
        Stream(3, 5).at(1, 3),
    ],
)
def test_another_place_gives_other_numbers(other):
    here = Stream(3, 5).at(1, 2).normal(10_000)
    # The correlation of independent streams has sd .01; false alarm at 5 sd: 6e-7.
    assert abs(float(np.corrcoef(here, other.normal(10_000))[0, 1])) < 0.05


def test_uniforms_are_not_made_of_the_same_bits_as_normals():
    """Of the 64 bits of one uniform the upper half would be the size of the second normal. The correlation over 2,000
    steps has sd .022; false alarm at 5 sd: 6e-7.
    """
    steps = [Stream(0, 0).at(0, k) for k in range(2000)]
    sizes = [abs(float(random.normal(2)[1])) for random in steps]
    uniforms = [float(random.uniform(1)) for random in steps]
    assert abs(np.corrcoef(sizes, uniforms)[0, 1]) < 0.11


def test_numbers_have_their_laws():
    """Kolmogorov-Smirnov at 1e-6 each."""
    random = Stream(1, 2).at(3, 4)
    assert stats.kstest(random.normal(100_000).numpy(), "norm").pvalue > 1e-6
    assert stats.kstest(random.uniform(100_000).numpy(), "uniform").pvalue > 1e-6
    counts = np.bincount(random.integers(10, 100_000).numpy(), minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-6
