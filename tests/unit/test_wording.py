import pytest

from tasks import wording

METRICS = {"chains/control_log_density_p_value": 0.4, "chains/temperature": 1.0}


@pytest.mark.parametrize(("temperature", "is_said"), [(1.0, False), (1.1, True)])
def test_a_page_says_when_the_density_was_heated(temperature, is_said):
    lines = wording.chains(METRICS | {"chains/temperature": temperature})
    assert any("to the power 1/temperature" in str(line) for line in lines) == is_said
