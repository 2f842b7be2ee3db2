import pytest
import torch

from scorefleet.tasks import config
from scorefleet.tasks.dag.artifacts import Model
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.data.schema import Column, DataSchema
from scorefleet.tasks.ebm import model, noise
from scorefleet.tasks.ebm.energies import ScoreOnly
from scorefleet.tasks.ebm.objectives import EnergyLoss
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.mcmc.kernels import line_integral, mala, metropolis
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder
from scorefleet.tasks.mcmc.noise_ladder.program import Program, first_segment
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.records.journal import Journal
from scorefleet.tasks.sampling.draws import to_table
from scorefleet.tasks.sampling.sample import sample

DENSITIES = {"log_density", "log_weight"}
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


def test_a_store_of_scores_has_no_log_densities_and_no_weights_and_one_of_an_energy_has():
    column = Column("a", "float64", (2,), (0.0, 0.0), 1.0, -9.0, 9.0, is_whole=False)
    found = {}
    for energy, kernel in (("score_only", "line_integral_simpson"), ("scalar_head", "mala")):
        trained = _trained(energy)
        ladder = Ladder((8.0, -4.0), (0.8, 0.1), (1.0, 1.0), kernel=kernel)
        program = Program(0, "draws", ladder, 2, 8, 2, 3, 1, 3)
        segment = first_segment(program, 0, range(3), _target_of(trained), "cpu")
        found[energy] = to_table(segment, program, range(8), trained, DataSchema((column,)))
    assert set(found["scalar_head"].column_names) - set(found["score_only"].column_names) == DENSITIES
    assert len(found["score_only"]) == 3 * 8


def test_what_needs_a_density_is_refused_in_one_line_without_one():
    with pytest.raises(UsageError, match="a likelihood needs a density, which a score-only model has not"):
        model.require_density(_trained("score_only"), "a likelihood")
    trained = _trained("scalar_head")
    assert model.require_density(trained, "a likelihood") is trained


def test_a_kernel_that_needs_a_density_is_refused_before_anything_starts(tmp_path):
    column = Column("a", "float64", (2,), (0.0, 0.0), 1.0, -9.0, 9.0, is_whole=False)
    files = model.to_files(_network(), DESCRIPTION) | {"schema.json": DataSchema((column,)).to_json().encode()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    journal = Journal(tmp_path / "journal.jsonl")
    context = Context("0" * 64, tmp_path / "sample", "scores", 0, tmp_path, config.Cluster(), journal)
    with pytest.raises(UsageError, match=r"must be one of line_integral_simpson, .* but got 'mala'"):
        sample(config.Sample(kernel="mala"), context, Model(str(tmp_path), model.digest(tmp_path)))


def _trained(energy):
    description = DESCRIPTION | {"energy": energy}
    kind = model.ScoreModel if model.is_score_only(description) else model.Model
    return kind(model.build(**description).requires_grad_(False), description)


def _target_of(trained):
    return lambda level: lambda x: trained.value_and_score(x, torch.full((len(x),), level))
