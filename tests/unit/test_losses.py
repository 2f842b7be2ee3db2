import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, OutOfMemoryError, RayTaskError

from scorefleet.tasks.errors import ServiceError
from scorefleet.tasks.fleet.failures import MAX_LOSSES, Losses, cause_of

KILLED = ActorUnavailableError("Socket closed", None)


def test_what_takes_its_worker_down_on_living_nodes_ends_in_a_line_that_names_it():
    losses = Losses()
    for _ in range(MAX_LOSSES - 1):
        losses.add("segment 3 of block 7", "a", KILLED, {"a"})
    with pytest.raises(ServiceError, match=r"^segment 3 of block 7 has lost its worker 8 times [^\n]*want of memory"):
        losses.add("segment 3 of block 7", "b", KILLED, {"a", "b"})


def test_lost_nodes_use_up_no_tries_also_where_they_are_seen_to_be_lost_only_later():
    losses = Losses()
    for number in range(5 * MAX_LOSSES):
        losses.add("segment 3 of block 7", f"node {number}", KILLED, {f"node {number}"})
    for _ in range(MAX_LOSSES - 2):
        losses.add("segment 3 of block 7", "well", KILLED, {"well"})


def test_losses_are_counted_by_work_and_forgotten_when_it_is_done():
    losses = Losses()
    for number in range(5 * MAX_LOSSES):
        losses.add(f"segment 0 of block {number}", "a", KILLED, {"a"})
        losses.add("segment 1 of block 0", None, KILLED, {"a"})
        losses.forget("segment 1 of block 0")


def test_a_node_without_memory_is_said_to_be_that():
    assert cause_of(OutOfMemoryError("killed")) == "it needs more memory than its node has"


def test_a_worker_that_refuses_to_start_is_not_started_again():
    error = ActorDiedError(RayTaskError("__init__", "Traceback ...\nStorageError: no such folder", ValueError("no")))
    with pytest.raises(ServiceError, match=r"^a worker could not start \(.*no such folder"):
        Losses().add("the start of worker 0", None, error, set())
