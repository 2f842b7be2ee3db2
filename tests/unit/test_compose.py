import pytest
import torch
from torch.distributions import MultivariateNormal

from scorefleet.tasks.ebm import compose
from scorefleet.tasks.ebm.energies import value_and_score
from scorefleet.tasks.errors import UsageError

DOUBLE = torch.float64
X = torch.randn(20, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
T = torch.zeros(20, dtype=DOUBLE)


def _normal(seed):
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(3, 3, dtype=DOUBLE, generator=generator)
    return MultivariateNormal(torch.randn(3, dtype=DOUBLE, generator=generator), factor @ factor.T + torch.eye(3))


def _density(law):
    return lambda x, logit_beta: law.log_prob(x)


def _assert_equal_up_to_a_constant(first, second):
    difference = (first - second).detach()
    torch.testing.assert_close(difference, difference[:1].expand_as(difference), rtol=0, atol=1e-9)


@pytest.mark.parametrize("weights", [None, (1.0, 1.0), (0.5, 2.0)])
def test_a_product_of_two_gaussians_is_the_gaussian_of_the_summed_precisions(weights):
    a, b = _normal(1), _normal(2)
    wa, wb = weights or (1.0, 1.0)
    precision = wa * a.precision_matrix + wb * b.precision_matrix
    shift = wa * a.precision_matrix @ a.mean + wb * b.precision_matrix @ b.mean
    known = MultivariateNormal(torch.linalg.solve(precision, shift), precision_matrix=precision)
    _assert_equal_up_to_a_constant(compose.product([_density(a), _density(b)], weights)(X, T), known.log_prob(X))


def test_a_model_with_its_exact_classifier_is_the_density_of_the_class():
    classes, prior = (_normal(1), _normal(2)), torch.tensor([0.3, 0.7], dtype=DOUBLE)

    def joint(x):
        return torch.stack([law.log_prob(x) for law in classes], dim=1) + prior.log()

    composed = compose.conditional(lambda x, t: joint(x).logsumexp(1), lambda x, t: joint(x).log_softmax(1), 1)
    torch.testing.assert_close(composed(X, T), classes[1].log_prob(X) + prior[1].log())


def test_fixed_coordinates_leave_the_conditional_of_a_joint_gaussian():
    """`x_a | x_b ~ N(m_a + C_ab C_bb^-1 (x_b - m_b), C_aa - C_ab C_bb^-1 C_ba)`, coordinate 1 fixed at .7."""
    law = _normal(3)
    mask, values = torch.tensor([False, True, False]), torch.tensor([9.0, 0.7, 9.0], dtype=DOUBLE)

    def target(x):
        return value_and_score(_density(law), x, torch.zeros(len(x)))

    value, score = compose.masked(target, mask, values)(X[:, [0, 2]])
    a, b, c = [0, 2], [1], law.covariance_matrix
    gain = c[a][:, b] / c[1, 1]
    known = MultivariateNormal(law.mean[a] + (gain * (0.7 - law.mean[1]))[:, 0], c[a][:, a] - gain @ c[b][:, a])
    _assert_equal_up_to_a_constant(value, known.log_prob(X[:, [0, 2]]))
    torch.testing.assert_close(score, (known.mean - X[:, [0, 2]]) @ known.precision_matrix)


def test_filled_rows_hold_the_values_where_the_mask_is_true():
    mask, values = torch.tensor([True, False, True]), torch.tensor([5.0, 0.0, 6.0])
    assert compose.filled(torch.tensor([[1.0], [2.0]]), mask, values).tolist() == [[5, 1, 6], [5, 2, 6]]


def test_the_score_of_a_composition_is_the_composition_of_scores():
    a, b = _normal(1), _normal(2)
    _, score = value_and_score(compose.product([_density(a), _density(b)], (0.5, 2.0)), X, T)
    parts = [value_and_score(_density(law), X, T)[1] for law in (a, b)]
    torch.testing.assert_close(score, 0.5 * parts[0] + 2 * parts[1])


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: compose.product([]),
        lambda: compose.product([_density(_normal(1))], [1.0, 2.0]),
        lambda: compose.masked(lambda x: (x[:, 0], x), torch.tensor([True, True]), torch.zeros(2)),
        lambda: compose.masked(lambda x: (x[:, 0], x), torch.tensor([True, False]), torch.zeros(3)),
    ],
)
def test_mistakes_are_told_in_one_line(mistake):
    with pytest.raises(UsageError) as told:
        mistake()
    assert "\n" not in str(told.value)
    assert "but got" in str(told.value)
