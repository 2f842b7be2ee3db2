import torch

from tasks.ebm.dequantise import Grid, dequantise
from tasks.mcmc.streams import Stream

LOCATION, SCALE = 4.9, 4.3
RANDOM = Stream(0, 0).at(0, 0)


def _grid(step=1.0):
    ends = [torch.tensor([(end - LOCATION) / SCALE]) for end in (0.0, 16.0)]
    return Grid(torch.tensor([step / SCALE]), *ends)


def _encoded(values):
    return ((torch.as_tensor(values, dtype=torch.float64) - LOCATION) / SCALE).float()[:, None]


def test_rounding_and_clipping_give_every_whole_number_back():
    whole = torch.arange(17).repeat(2000)
    spread = dequantise(_encoded(whole), _grid(), RANDOM)[:, 0] * SCALE + LOCATION
    assert torch.equal(spread.round().clamp(0, 16).long(), whole)


def test_inner_values_fill_their_step_and_ends_lie_beyond_the_range():
    inner = dequantise(_encoded([7.0] * 10_000), _grid(), RANDOM)[:, 0] * SCALE + LOCATION
    assert 6.5 <= float(inner.min()) < 6.51
    assert 7.49 < float(inner.max()) <= 7.5 + 1e-5
    low = dequantise(_encoded([0.0] * 10_000), _grid(), RANDOM)[:, 0] * SCALE + LOCATION
    assert abs(float(low.mean()) + 0.7 * SCALE) < 0.1
    high = dequantise(_encoded([16.0] * 10_000), _grid(), RANDOM)[:, 0] * SCALE + LOCATION
    assert abs(float(high.mean()) - 16 - 0.7 * SCALE) < 0.1


def test_real_numbers_stay_as_they_are():
    x = torch.randn(100, 1)
    assert torch.equal(dequantise(x, _grid(step=0.0), RANDOM), x)
