"""A schedule for each rule of the commit protocol; mutants show that the loss of the rule is seen."""

import pytest

from tests.faults.test_schedules import run


@pytest.mark.timeout(600)
def test_records_come_last_late_writers_change_nothing_and_states_are_checked():
    run("--aimed")
