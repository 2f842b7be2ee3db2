import torch

from tasks.ebm import model, noise
from tasks.ebm.energies import ScoreOnly
from tasks.ebm.objectives import EnergyLoss
from tasks.mcmc import line_integral, mala, metropolis
from tasks.mcmc.streams import Stream

DESCRIPTION = {"dim": 2, "energy": "score_only", "width": 16, "num_blocks": 1, "num_conditions": 0}


def _network():
    torch.manual_seed(0)
    return model.build(**DESCRIPTION)


def test_an_untrained_score_is_that_of_the_standard_normal():
    x = torch.randn(8, 2)
    torch.testing.assert_close(_network()(x, torch.linspace(-6, 6, 8)), -x)


def test_the_exact_score_minimises_the_loss_and_the_sign_is_towards_the_data():
    """Rows of N(0, I), of which -x' is the score at every level: there the loss is the mean of 1-beta."""
    torch.manual_seed(0)
    x, eps, t = torch.randn(20_000, 2), torch.randn(20_000, 2), torch.zeros(20_000)
    right, _ = EnergyLoss(_network(), 0.0)(x, eps, t)
    wrong, _ = EnergyLoss(_Flipped(2, 16, 1, 0.0, 0), 0.0)(x, eps, t)
    # Five standard errors of a mean of 40,000 squares of N(0, 1/2) are .018.
    assert abs(float(right.detach()) - 0.5) < 0.018
    assert float(wrong.detach()) > 2


class _Flipped(ScoreOnly):
    def forward(self, x, logit_beta, condition=None):
        return x


def test_a_score_model_that_is_saved_and_loaded_has_the_same_score_and_no_value(tmp_path):
    network = _network()
    torch.nn.init.normal_(network.network.last.weight)
    for name, data in model.to_files(network, DESCRIPTION).items():
        (tmp_path / name).write_bytes(data)
    loaded, x, t = model.load(tmp_path), torch.randn(16, 2), torch.zeros(16)
    value, score = loaded.value_and_score(x, t)
    torch.testing.assert_close(score, network(x, t).detach(), rtol=0, atol=0)
    assert bool(value.isnan().all())
    assert not hasattr(loaded, "log_density")
    torch.testing.assert_close(loaded.denoise(x, t), noise.denoise(x, score, t))


def test_chains_of_a_score_model_move_by_the_line_integral_and_not_by_a_value():
    trained = model.ScoreModel(_network().requires_grad_(False), DESCRIPTION)

    def target(x):
        return trained.value_and_score(x, torch.zeros(len(x)))

    state = metropolis.init(torch.randn(64, 2), target)
    _, info = line_integral.step(Stream(0, 0).at(0, 0), state, target, 0.5)
    assert float(info.is_accepted.float().mean()) > 0.5
    assert not bool(mala.step(Stream(0, 0).at(0, 0), state, target, 0.5)[1].is_accepted.any())


def test_every_weight_gets_a_gradient():
    network = _network()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sum(EnergyLoss(network, 0.0)(torch.randn(16, 2), torch.randn(16, 2), torch.randn(16))).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
