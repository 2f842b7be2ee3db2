import torch

from scorefleet.tasks.ebm.dequantise import END_WIDTH, Grid, dequantise, grid_of
from scorefleet.tasks.mcmc.streams import Stream

LOCATION, SCALE = 4.9, 4.3
RANDOM = Stream(0, 0).at(0, 0)


def _grid(step=1.0, shares=(0.5, 0.5)):
    ends = [torch.tensor([(end - LOCATION) / SCALE]) for end in (0.0, 16.0)]
    return Grid(torch.tensor([step / SCALE]), *ends, *(torch.tensor([share]) for share in shares))


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
    assert float(low.max()) < -0.498
    high = dequantise(_encoded([16.0] * 10_000), _grid(), RANDOM)[:, 0] * SCALE + LOCATION
    assert float(high.min()) > 16.498


def test_an_end_is_the_tail_of_a_normal_that_holds_its_share():
    for share in (0.05, 0.5, 0.9):
        x = dequantise(_encoded([0.0] * 50_000), _grid(shares=(share, 0.01)), RANDOM)[:, 0]
        beyond = (_grid().lowest - 0.499 / SCALE - x) / END_WIDTH
        quantile = torch.special.ndtri(torch.tensor(share))
        median = quantile - torch.special.ndtri(torch.tensor(share / 2))
        assert abs(float(beyond.median()) - float(median)) < 0.02


def test_shares_at_the_ends_are_counted():
    grid = grid_of(_encoded([0.0, 0.0, 0.0, 5.0, 16.0]), *_grid()[:3])
    assert abs(float(grid.share_lowest) - 0.6) < 1e-6
    assert abs(float(grid.share_highest) - 0.2) < 1e-6


def test_real_numbers_stay_as_they_are():
    x = torch.randn(100, 1)
    assert torch.equal(dequantise(x, _grid(step=0.0), RANDOM), x)
