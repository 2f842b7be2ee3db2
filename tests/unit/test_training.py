from itertools import pairwise

import pytest
import torch

from scorefleet.tasks.ebm import checkpoint, model, training
from scorefleet.tasks.ebm.dequantise import grid_of
from scorefleet.tasks.ebm.objectives import EnergyLoss
from scorefleet.tasks.mcmc.streams import Stream

ROWS = 0.2 * torch.randn(200, 3, generator=torch.Generator().manual_seed(0))

GRID = grid_of(ROWS, torch.zeros(3), torch.zeros(3), torch.zeros(3))


def _start():
    torch.manual_seed(0)
    network = model.build(3, "scalar_head", 8, 1)
    return network, training.moving_average(network, 0.9), training.optimizer_of(network, 1e-2, 0.0)


def _advance(network, average, optimizer, first, end):
    loss_of = EnergyLoss(network, 0.1)
    for step in range(first, end):
        batch = training.draw_batch(Stream(0, 0, "train"), step, ROWS, GRID, 32)
        optimizer.zero_grad()
        sum(loss_of(batch.x, batch.noise, batch.logit_beta)).backward()
        optimizer.step()
        average.update_parameters(network)


def test_training_that_goes_on_from_a_checkpoint_ends_with_the_same_bytes():
    whole, cut, resumed = _start(), _start(), _start()
    _advance(*whole, 0, 20)
    _advance(*cut, 0, 8)
    first = checkpoint.unpack(checkpoint.pack(8, *cut), *resumed)
    assert first == 8
    _advance(*resumed, first, 20)
    assert checkpoint.pack(20, *resumed) == checkpoint.pack(20, *whole)


def test_workers_share_a_batch_that_does_not_depend_on_their_number():
    batch = training.draw_batch(Stream(0, 0, "train"), 7, ROWS, GRID, 32)
    for world_size in (1, 3, 4):
        parts = [training.share(batch, rank, world_size) for rank in range(world_size)]
        for name in ("x", "noise", "logit_beta"):
            torch.testing.assert_close(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
        assert sum(training.weight_of(part, 32, world_size) for part in parts) == pytest.approx(world_size)


def test_workers_draw_parts_of_numbers_that_do_not_depend_on_how_many_there_are():
    whole = training.part(Stream(0, 0, "train"), 7, 32, 0, 1)
    for draw in ("normal", "uniform"):
        parts = [getattr(training.part(Stream(0, 0, "train"), 7, 32, rank, 3), draw)(10, 2) for rank in range(3)]
        assert torch.equal(torch.cat(parts), getattr(whole, draw)(32, 2))


def test_learning_rate_warms_up_peaks_and_ends_near_zero():
    rates = [training.learning_rate(step, 1000, 1.0) for step in range(1000)]
    assert rates[0] == 1 / 50
    assert max(rates) == 1.0
    assert rates.index(1.0) in (49, 50)
    assert rates[-1] < 1e-4
    assert all(later <= earlier for earlier, later in pairwise(rates[50:]))


def test_training_lowers_the_loss_on_rows_it_has_not_seen():
    network, average, optimizer = _start()
    unseen = 0.2 * torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    before = training.validation_loss(average.module, unseen, GRID, 0.1, Stream(0, 0))
    _advance(network, average, optimizer, 0, 300)
    assert training.validation_loss(average.module, unseen, GRID, 0.1, Stream(0, 0)) < 0.8 * before


def test_known_scores_stay_beside_their_rows_in_every_workers_share():
    batch = training.draw_batch(Stream(0, 0, "train"), 3, ROWS, GRID, 32, known=-ROWS / 0.04)
    for part in (batch, *(training.share(batch, rank, 4) for rank in range(4))):
        assert part.known is not None
        torch.testing.assert_close(part.known, -part.x / 0.04)
    assert training.draw_batch(Stream(0, 0, "train"), 3, ROWS, GRID, 32).known is None
