import math

from scorefleet.tasks.mcmc.kernels.adaptation import StepSize


def test_the_step_size_settles_where_acceptance_is_the_target():
    """A made-up law of acceptance, 1/(1 + eta), has .574 at eta = .742."""
    tuned = StepSize(20.0, 0.574)
    for _ in range(200):
        tuned.update(1 / (1 + tuned.step_size))
    assert math.isclose(tuned.step_size, 1 / 0.574 - 1, rel_tol=0.05)


def test_too_much_acceptance_makes_the_step_larger():
    tuned = StepSize(1.0, 0.574)
    tuned.update(0.9)
    assert tuned.step_size > 1.0


def test_each_update_counts_for_less_than_the_last():
    tuned = StepSize(1.0, 0.5)
    for _ in range(100):
        tuned.update(0.5)
    tuned.update(1.0)
    assert math.isclose(tuned.step_size, math.exp(4 / 102 * 0.5))
