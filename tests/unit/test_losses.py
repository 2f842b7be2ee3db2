import itertools

import pytest
import torch

from tasks.ebm import checkpoint, model, noise, training
from tasks.ebm.dequantise import Grid
from tasks.ebm.losses import LOSSES, ContrastiveLoss, ImplicitLoss, PersistentLoss
from tasks.ebm.objectives import EnergyLoss
from tasks.mcmc.streams import Stream

ROWS = 0.2 * torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
KNOWN = -ROWS / 0.2**2
SCORE_LOSSES = ("denoising", "explicit", "implicit", "sliced")
GRID = Grid(*torch.zeros(5, 3))
STREAM = Stream(0, 0, "train")


BY_OBJECTIVE = [(name, "scalar_head") for name in LOSSES] + [(name, "score_only") for name in SCORE_LOSSES]


def _network(energy="scalar_head"):
    torch.manual_seed(0)
    return model.build(3, energy, 8, 1)


def _batch(step, size):
    return training.draw_batch(STREAM, step, ROWS, GRID, size, known=KNOWN)


def _loss(name, network, weight=0.1, size=32):
    loss = LOSSES[name](network, weight)
    begin = training.draw_batch(Stream(0, 0, "particles"), 0, ROWS, GRID, size, known=KNOWN)
    loss.start(noise.add_noise(begin.x, begin.noise, begin.logit_beta), begin.logit_beta, begin.known)
    return loss


def _value(loss, step, rank=0, world_size=1, size=32):
    batch = training.share(_batch(step, size), rank, world_size)
    random = training.part(STREAM, step, rank, world_size)
    return loss(batch.x, batch.noise, batch.logit_beta, None, random, batch.known)


def _advance(network, average, optimizer, loss, first, end, size=32):
    for step in range(first, end):
        optimizer.zero_grad()
        sum(_value(loss, step, size=size)).backward()
        optimizer.step()
        average.update_parameters(network)


class Normal(torch.nn.Module):
    """Noised N(0, v I)."""

    def __init__(self, variance):
        super().__init__()
        self.variance = torch.nn.Parameter(torch.tensor(variance, dtype=torch.float64))

    def forward(self, x, logit_beta):
        beta = torch.sigmoid(logit_beta)
        variance = (1 - beta) * self.variance + beta
        return -0.5 * (x.square().sum(1) / variance + x.shape[1] * variance.log())


def test_implicit_is_denoising_less_one_in_expectation():
    """200,000 rows of two coordinates: the difference `2 (eps sqrt(beta) . S - beta div S)/d + |eps|^2/d - 1` of a row
    has a standard deviation below 3, so five standard errors (false alarm 6e-7) are below .034.
    """
    torch.manual_seed(0)
    x, eps = torch.randn(200_000, 2, dtype=torch.float64), torch.randn(200_000, 2, dtype=torch.float64)
    t = 8 * torch.rand(200_000, dtype=torch.float64) - 4
    for variance in (1.0, 2.0):
        network = Normal(variance)
        denoising, _ = EnergyLoss(network, 0.0)(x, eps, t)
        implicit, _ = ImplicitLoss(network, 0.0)(x, eps, t, None, training.part(STREAM, 0, 0, 1))
        assert abs(float((denoising - 1 - implicit).detach())) < 0.034


@pytest.mark.parametrize(("name", "energy"), BY_OBJECTIVE)
def test_workers_draw_their_parts_of_the_same_numbers(name, energy):
    network = _network(energy)
    torch.nn.init.normal_(network.network.last.weight)
    whole = torch.stack(_value(_loss(name, network), 3)).detach()
    parts = [torch.stack(_value(_loss(name, network), 3, rank, 4)).detach() for rank in range(4)]
    torch.testing.assert_close(torch.stack(parts).mean(0), whole, rtol=1e-4, atol=1e-5)
    assert float((parts[0] - parts[1]).abs()[: 2 if energy == "scalar_head" else 1].min()) > 1e-4


@pytest.mark.parametrize(("name", "energy"), BY_OBJECTIVE)
def test_training_that_goes_on_from_a_checkpoint_ends_with_the_same_bytes(name, energy):
    def start():
        network = _network(energy)
        average, optimizer = training.moving_average(network, 0.9), training.optimizer_of(network, 1e-2, 0.0)
        return network, average, optimizer, _loss(name, network)

    def pack(step, state):
        return checkpoint.pack(step, *state[:3], state[3].particles)

    whole, cut, resumed = start(), start(), start()
    _advance(*whole, 0, 6)
    _advance(*cut, 0, 3)
    assert checkpoint.unpack(pack(3, cut), *resumed[:3], resumed[3].particles) == 3
    _advance(*resumed, 3, 6)
    assert pack(6, resumed) == pack(6, whole)


LEARNING = [(name, "scalar_head") for name in ("sliced", "contrastive", "persistent")]
LEARNING += [(name, "score_only") for name in ("explicit", "sliced")]


@pytest.mark.parametrize(("name", "energy"), LEARNING)
def test_training_lowers_the_denoising_loss_on_rows_it_has_not_seen(name, energy):
    """The rows are five times as narrow as what an untrained energy says."""
    network = _network(energy)
    average, optimizer = training.moving_average(network, 0.9), training.optimizer_of(network, 1e-2, 0.0)
    unseen = 0.2 * torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    before = training.validation_loss(network, unseen, GRID, 0.0, Stream(0, 0))
    network.train()
    _advance(network, average, optimizer, _loss(name, network, 0.0, 256), 0, 300, 256)
    assert training.validation_loss(average.module, unseen, GRID, 0.0, Stream(0, 0)) < 0.7 * before


@pytest.mark.parametrize("loss", [ContrastiveLoss, PersistentLoss])
def test_contrastive_gradients_point_to_the_variance_of_the_data_from_both_sides(loss):
    """Rows of N(0, I): the gradient in the variance is negative below 1 and positive above."""
    torch.manual_seed(0)
    x, eps = torch.randn(20_000, 2, dtype=torch.float64), torch.randn(20_000, 2, dtype=torch.float64)
    t = torch.zeros(20_000, dtype=torch.float64)
    signs = []
    for variance in (0.5, 2.0):
        network = Normal(variance)
        module = loss(network, 0.0)
        module.start(noise.add_noise(x, eps, t), t)
        sum(module(x, eps, t, None, training.part(STREAM, 0, 0, 1))).backward()
        signs.append(float(network.variance.grad))
    assert signs[0] < -0.02 < 0.005 < signs[1]


def test_chains_to_the_negatives_see_no_dropout_and_leave_training_on():
    network = model.build(3, "scalar_head", 8, 1, dropout=0.5).train()
    torch.nn.init.normal_(network.network.last.weight)
    loss, start, levels = ContrastiveLoss(network, 0.0), torch.randn(64, 3), torch.zeros(64)
    first, second = (loss.advance(STREAM.at(0, 0), network, start, levels) for _ in range(2))
    assert torch.equal(first, second)
    assert network.training


def test_persistent_particles_move_on_and_stay_finite():
    loss = _loss("persistent", _network())
    places = [loss.particles.x.clone()]
    for step in range(2):
        _value(loss, step)
        places.append(loss.particles.x.clone())
    for before, after in itertools.pairwise(places):
        assert not torch.equal(before, after)
        assert bool(after.isfinite().all())


def test_the_time_score_term_is_the_same_beside_every_score_objective():
    network = _network()
    torch.nn.init.normal_(network.network.last.weight)
    terms = [_value(_loss(name, network), 0)[1].detach() for name in (*SCORE_LOSSES, "contrastive")]
    for term in terms[1:]:
        torch.testing.assert_close(term, terms[0])


def test_only_objectives_with_a_divergence_give_up_the_fused_norm():
    """Both forms of the norm are one function; the default keeps the bytes of the fused one."""
    fused, composed = _network(), _network()
    torch.nn.init.normal_(fused.network.last.weight)
    composed.load_state_dict(fused.state_dict())
    EnergyLoss(fused, 0.1), ImplicitLoss(composed, 0.1)
    assert [block.norm.is_fused for network in (fused, composed) for block in network.network.blocks] == [True, False]
    x, t = torch.randn(16, 3), torch.zeros(16)
    torch.testing.assert_close(fused(x, t), composed(x, t), rtol=1e-5, atol=1e-5)
