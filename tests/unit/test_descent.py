import torch

from scorefleet.tasks.mcmc.kernels import metropolis
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.mcmc.warmup import dense, descent, limited

PRECISION = torch.tensor([[4.0, 1.5, 0.0], [1.5, 1.0, 0.2], [0.0, 0.2, 100.0]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def gaussian(x):
    away = x - MEAN
    return -0.5 * ((away @ PRECISION) * away).sum(1), -away @ PRECISION


class Counted:
    """A target that counts its evaluations."""

    def __init__(self):
        self.count = 0

    def __call__(self, x):
        self.count += 1
        return gaussian(x)


def cold(num_chains=32):
    return metropolis.init(4 * Stream(0, 0).at(0, 0).uniform(num_chains, 3) - 2, gaussian)


def test_the_climb_finds_the_maximum_and_the_curvature_of_a_gaussian():
    climb = descent.start(cold())
    for _ in range(60):
        climb, _ = descent.advance(climb, gaussian)
    torch.testing.assert_close(climb.state.x, MEAN.expand(32, 3), rtol=0, atol=1e-5)
    identity = torch.eye(3, dtype=torch.float64).expand(32, 3, 3)
    assert float((climb.inverse.matrix @ PRECISION - identity).abs().median()) < 1e-2


def test_a_step_is_taken_only_where_the_density_rises():
    climb = descent.start(cold())
    for _ in range(20):
        new, is_taken = descent.advance(climb, gaussian)
        assert bool((new.state.value >= climb.state.value).all())
        assert torch.equal(new.state.x[~is_taken], climb.state.x[~is_taken])
        climb = new


def test_the_updated_inverse_maps_the_change_of_gradient_to_the_step():
    random = Stream(0, 0).at(0, 1)
    s = random.normal(10, 3).double()
    y = s @ PRECISION
    updated = dense.update_inverse(torch.eye(3, dtype=torch.float64).expand(10, 3, 3), s, y)
    torch.testing.assert_close((updated @ y[:, :, None])[:, :, 0], s)
    assert bool((torch.linalg.eigvalsh(updated) > 0).all())


def test_a_step_of_negative_curvature_leaves_the_inverse_as_it_is():
    s = Stream(0, 0).at(0, 2).normal(10, 3).double()
    inverse = torch.eye(3, dtype=torch.float64).expand(10, 3, 3)
    assert torch.equal(dense.update_inverse(inverse, s, -s), inverse)


def test_the_elbo_of_the_exact_gaussian_is_the_log_normaliser_whatever_the_draw():
    climb = descent.start(cold())
    climb = climb._replace(inverse=climb.inverse._replace(matrix=PRECISION.inverse().expand(32, 3, 3)))
    drawn = descent.local_draw(Stream(0, 0).at(0, 3), climb, gaussian)
    log_z = 0.5 * (3 * torch.tensor(2 * torch.pi, dtype=torch.float64).log() - PRECISION.logdet())
    torch.testing.assert_close(drawn.elbo, log_z.expand(32))


def test_descent_counts_every_evaluation_and_ends_near_the_mass():
    target = Counted()
    best, num_evaluated = descent.descend(Stream(0, 0), 1, cold(), target, 100)
    assert target.count == num_evaluated <= 200
    away = best.state.x - MEAN
    assert float(((away @ PRECISION) * away).sum(1).max()) < 30


def test_points_without_a_density_are_never_taken():
    def half_plane(x):
        value, score = gaussian(x)
        return torch.where(x[:, 0] < 0.5, value, torch.nan), torch.where(x[:, :1] < 0.5, score, torch.nan)

    x = cold().x.clamp(max=0.4)
    best, _ = descent.descend(Stream(0, 0), 1, metropolis.init(x, half_plane), half_plane, 50)
    assert bool(best.state.x.isfinite().all())
    assert bool((best.state.x[:, 0] < 0.5).all())


SCALES = torch.logspace(0, 3, 400, dtype=torch.float64)


def wide(x):
    """A Gaussian in 400 dimensions with variances from 1 to 1,000."""
    return -0.5 * (x.square() / SCALES).sum(1), -x / SCALES


def remembered(num_steps):
    """What is left of `num_steps` of a climb in 400 dimensions, beside the same steps as matrices."""
    climb = descent.start(metropolis.init(4 * Stream(0, 0).at(0, 4).uniform(3, 400) - 2, wide))
    for _ in range(num_steps):
        climb, _ = descent.advance(climb, wide)
    return climb


def test_limited_memory_is_bfgs_as_long_as_nothing_is_forgotten():
    held = remembered(8).inverse
    matrix = held.scale[:, None, None] * torch.eye(400, dtype=torch.float64).expand(3, 400, 400)
    for k in range(limited.MEMORY):
        matrix = dense.update_inverse(matrix, held.steps[:, k], held.changes[:, k])
    v = Stream(0, 0).at(0, 5).normal(3, 400).double()
    torch.testing.assert_close(held.direction(v), (matrix @ v[:, :, None])[:, :, 0])


def test_a_draw_of_limited_memory_has_its_covariance_and_determinant():
    """Noise along each axis in turn: the images are the columns of a factor of H."""
    held = remembered(30).inverse
    one = limited.Limited(*(part[:1].expand(400, *part.shape[1:]) for part in held))
    columns, half_log_det, is_definite = one.colour(torch.eye(400, dtype=torch.float64))
    matrix = one.apply(torch.eye(400, dtype=torch.float64)[:, :, None])[:, :, 0]
    assert bool(is_definite.all())
    torch.testing.assert_close(columns.T @ columns, matrix, atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(half_log_det[0], 0.5 * torch.linalg.slogdet(matrix)[1])


def test_the_climb_in_400_dimensions_holds_no_matrix_a_chain_and_reaches_the_mass():
    """The bulk has `x' P x` near 400; a start at 30 is far outside."""
    start = metropolis.init(30 * torch.ones(8, 400).double(), wide)
    climb = descent.start(start)
    assert sum(part.numel() for part in climb.inverse) == 8 * (2 * limited.MEMORY * 400 + 1)
    best, _ = descent.descend(Stream(0, 0), 1, start, wide, 100)
    assert float(-2 * start.value.max()) > 20_000
    assert float(-2 * best.state.value.max()) < 4000
