"""Real data-parallel workers train as one does, with every objective, and go on as if they had never stopped; they need
not have equally many rows.
"""

import torch
from torch import distributed, multiprocessing

from scorefleet.tasks.ebm import model, noise, training
from scorefleet.tasks.ebm.dequantise import Grid
from scorefleet.tasks.ebm.losses import LOSSES
from scorefleet.tasks.mcmc.streams import Stream

ROWS = 0.2 * torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
KNOWN = -ROWS / 0.2**2
GRID, STREAM, BATCH_SIZE = Grid(*torch.zeros(5, 3)), Stream(0, 0, "train"), 95


def _trained(name, rank, world_size, stops=(), width=8):
    torch.manual_seed(0)
    network = model.build(3, "scalar_head", width, 1)
    optimizer, loss = torch.optim.SGD(network.parameters(), 1e-2), LOSSES[name](network, 0.1)
    begin = training.draw_batch(Stream(0, 0, "particles"), 0, ROWS, GRID, BATCH_SIZE, known=KNOWN)
    loss.start(noise.add_noise(begin.x, begin.noise, begin.logit_beta), begin.logit_beta, begin.known)
    parallel = training.in_parallel(loss, world_size)
    for step in range(5):
        if step in stops:
            parallel = training.in_parallel(loss, world_size)
        batch = training.share(training.draw_batch(STREAM, step, ROWS, GRID, BATCH_SIZE, known=KNOWN), rank, world_size)
        random = training.part(STREAM, step, BATCH_SIZE, rank, world_size)
        optimizer.zero_grad()
        losses = parallel(batch.x, batch.noise, batch.logit_beta, batch.warps, random, batch.known)
        (training.weight_of(batch, BATCH_SIZE, world_size) * sum(losses)).backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def _work(rank, store):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for name in LOSSES:
        weights = _trained(name, rank, 2)
        both = [torch.empty_like(weights) for _ in range(2)]
        distributed.all_gather(both, weights)
        assert torch.equal(*both), name
        torch.testing.assert_close(weights, _trained(name, 0, 1), rtol=1e-6, atol=1e-7, msg=name)
    distributed.destroy_process_group()


def test_two_workers_end_with_the_weights_of_one(tmp_path):
    multiprocessing.spawn(_work, (str(tmp_path / "store"),), nprocs=2)


def _stop_and_go_on(rank, store):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=3)
    whole, stopped = (_trained("denoising", rank, 3, stops, width=256) for stops in ((), (3,)))
    assert torch.equal(whole, stopped)
    distributed.destroy_process_group()


def test_three_workers_that_stopped_end_with_the_same_bytes(tmp_path):
    """Layers of 256 units are more than one bucket's worth of order: with DDP as it comes the two differ."""
    multiprocessing.spawn(_stop_and_go_on, (str(tmp_path / "store"),), nprocs=3)
