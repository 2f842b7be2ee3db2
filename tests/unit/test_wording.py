import pytest

from scorefleet.tasks.reports import wording

METRICS = {"chains/control_log_density_p_value": 0.4, "chains/temperature": 1.0, "chains/is_exact": 1.0}


@pytest.mark.parametrize(("temperature", "is_said"), [(1.0, False), (1.1, True)])
def test_a_page_says_when_the_density_was_heated(temperature, is_said):
    lines = wording.chains(METRICS | {"chains/temperature": temperature})
    assert any("to the power 1/temperature" in str(line) for line in lines) == is_said


@pytest.mark.parametrize("is_exact", [0.0, 1.0])
def test_a_page_says_when_draws_are_not_exact(is_exact):
    lines = wording.chains(METRICS | {"chains/is_exact": is_exact})
    assert any("no check here says how near" in line.meaning for line in lines) == (not is_exact)
