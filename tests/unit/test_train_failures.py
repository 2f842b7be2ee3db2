import pytest
from ray.exceptions import ActorDiedError
from ray.train import ControllerError, WorkerGroupError

from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.training.ray_trainer import MAX_FAILURES, _fitted


class Failing:
    """A trainer whose run ends in an error."""

    def __init__(self, error):
        self.error = error

    def fit(self):
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            WorkerGroupError("", {0: RuntimeError("closed"), 1: ActorDiedError()}),
            f"lost its workers {MAX_FAILURES + 1}",
        ),
        (ControllerError(RuntimeError("no peer\nanswers")), "could not start its workers (answers)"),
    ],
)
def test_lost_workers_are_one_line_that_says_how_to_go_on(error, expected):
    with pytest.raises(ServiceError, match="run the same command to resume") as refused:
        _fitted(Failing(error))
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_wrong_in_a_worker_itself_is_not_called_a_loss():
    wrong = WorkerGroupError("", {0: ValueError("a bug")})
    with pytest.raises(WorkerGroupError) as raised:
        _fitted(Failing(wrong))
    assert raised.value is wrong
