import torch

from scorefleet.tasks.mcmc.noise_ladder import annealing
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder
from scorefleet.tasks.mcmc.streams import Stream

LADDER = Ladder((4.0, 0.0, -4.0), (0.5, 0.3, 0.1), (1.0, 1.0, 1.0))


def normal_at(logit_beta):
    """N(0, I) at every level."""
    return lambda x: (-0.5 * x.square().sum(1), -x)


def test_heat_divides_the_log_density_and_the_score():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    value, score = annealing.heat(normal_at, 1.6)(0.0)(x)
    torch.testing.assert_close(value, -0.5 * x.square().sum(1) / 1.6)
    torch.testing.assert_close(score, -x / 1.6)


def test_heated_chains_start_as_wide_as_heated_noise():
    """The weight of every chain is the same when it starts at the very law of the highest level."""
    hot = annealing.heat(normal_at, 1.6)
    state, log_weight = annealing.start(Stream(0, 0), hot(4.0), 1000, 3, 1.6, "cpu")
    assert float(log_weight.std()) < 1e-5
    assert abs(float(state.x.var()) / 1.6 - 1) < 5 * (2 / 3000) ** 0.5


def test_every_move_has_random_numbers_of_its_own():
    taken = []

    class Watched(Stream):
        def at(self, phase, step):
            taken.append((phase, step))
            return super().at(phase, step)

    annealing.anneal(Watched(0, 0), normal_at, LADDER, 4, 8, 3)
    assert len(taken) == 1 + 2 + 3 * 4
    assert len(set(taken)) == len(taken)
