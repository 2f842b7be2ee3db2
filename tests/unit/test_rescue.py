import torch

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import rescue


def state():
    return metropolis.init(torch.arange(12.0).view(6, 2), lambda x: (-0.5 * x.square().sum(1), -x))


def test_lost_chains_restart_at_others_and_the_others_stay():
    before, is_lost = state(), torch.tensor([False, True, False, False, True, False])
    after = rescue.restart(Stream(0, 0).at(0, 0), before, is_lost)
    assert torch.equal(after.x[~is_lost], before.x[~is_lost])
    for i in is_lost.nonzero()[:, 0]:
        source = (before.x == after.x[i]).all(1) & ~is_lost
        assert int(source.sum()) == 1
        assert after.value[i] == before.value[source][0]


def test_nothing_moves_when_every_chain_is_lost():
    before = state()
    after = rescue.restart(Stream(0, 0).at(0, 0), before, torch.ones(6, dtype=torch.bool))
    assert torch.equal(after.x, before.x)


def test_an_elbo_far_below_the_others_is_lost_and_a_light_mode_is_not():
    elbo = torch.tensor([0.0, 1.0, -3.0, -15.0, -50.0, -torch.inf]).double()
    assert rescue.is_far(elbo, 2).tolist() == [False, False, False, False, True, True]


def test_a_chain_that_accepts_little_while_others_accept_is_stuck():
    assert rescue.is_stuck(torch.tensor([0.7, 0.8, 0.05, 0.4])).tolist() == [False, False, True, False]
