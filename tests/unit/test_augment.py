import torch

from scorefleet.tasks.ebm import model
from scorefleet.tasks.ebm.augment import NUM_WARPS, draw_warps, warp_images
from scorefleet.tasks.ebm.dequantise import Grid
from scorefleet.tasks.ebm.objectives import EnergyLoss
from scorefleet.tasks.mcmc.streams import Stream

SHAPE, DIM = (8, 8), 64
LOCATION, SCALE = torch.linspace(0.0, 9.0, DIM), 4.3  # each pixel has its own mean
GRID = Grid(
    torch.full((DIM,), 1 / SCALE), (0 - LOCATION) / SCALE, (16 - LOCATION) / SCALE, torch.ones(DIM), torch.ones(DIM)
)


def _warped(images, warps):
    x = (images.reshape(-1, DIM) - LOCATION) / SCALE
    return (warp_images(x, warps, SHAPE, GRID) * SCALE + LOCATION).reshape(-1, *SHAPE)


def _images(num_rows):
    return torch.randint(0, 17, (num_rows, *SHAPE), generator=torch.Generator().manual_seed(0)).float()


def test_no_warp_leaves_the_image_as_it_is():
    images = _images(5)
    torch.testing.assert_close(_warped(images, torch.zeros(5, NUM_WARPS)), images, rtol=0, atol=1e-5)


def test_a_shift_of_one_pixel_moves_every_pixel_and_brings_in_the_smallest_value():
    images, warps = _images(3), torch.zeros(3, NUM_WARPS)
    warps[:, 4] = 2.0  # two standard deviations of 1/16 of the width
    moved = _warped(images, warps)
    torch.testing.assert_close(moved[:, :, :-1], images[:, :, 1:], rtol=0, atol=1e-4)
    assert moved[:, :, -1].abs().max() < 1e-4


def test_warped_whole_numbers_are_whole_and_stay_in_their_range():
    warps = draw_warps(Stream(0, 0).at(0, 0), 200, 1.0).float()
    moved = _warped(_images(200), warps)
    torch.testing.assert_close(moved, moved.round(), rtol=0, atol=1e-4)
    assert moved.min() > -1e-3
    assert moved.max() < 16.001


def test_the_share_of_rows_that_are_warped():
    warps = draw_warps(Stream(0, 0).at(0, 0), 20_000, 0.7)
    moved = (warps != 0).any(1).float().mean()
    assert abs(moved - 0.7 * (1 - 2**-NUM_WARPS)) < 0.015
    assert abs((warps != 0).float().mean() - 0.35) < 0.01


def test_the_network_is_told_of_the_warp_and_no_word_means_no_warp():
    torch.manual_seed(0)
    network = model.build(DIM, "inner_product", 16, 1, num_conditions=NUM_WARPS)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, eps, t = torch.randn(4, DIM), torch.randn(4, DIM), torch.zeros(4)
    assert torch.equal(network(x, t), network(x, t, torch.zeros(4, NUM_WARPS)))
    loss_of = EnergyLoss(network, 0.1)
    assert not torch.allclose(loss_of(x, eps, t)[0], loss_of(x, eps, t, condition=torch.ones(4, NUM_WARPS))[0])
