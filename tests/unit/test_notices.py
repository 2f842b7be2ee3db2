import pytest

from scorefleet.tasks.training.preemption import ASK_EVERY_S, next_after


@pytest.mark.parametrize(("num_steps", "seconds", "expected"), [(10, 1.0, 20), (100, 1.0, 200), (100, 4.0, 50)])
def test_questions_are_two_seconds_apart_at_the_pace_of_the_last_steps(num_steps, seconds, expected):
    assert ASK_EVERY_S == 2.0
    assert next_after(num_steps, seconds) == expected


def test_a_pace_that_looked_fast_for_once_does_not_put_the_next_question_far_off():
    assert next_after(10, 1e-6) == 20


def test_steps_longer_than_the_interval_are_each_asked_after():
    assert next_after(1, 60.0) == 1
