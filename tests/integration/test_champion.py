"""The alias moves from the version that was judged against, once, and back."""

from pathlib import Path

import pytest

from scorefleet.tasks import config
from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.registry.alias import Registry, find, promote, rollback
from scorefleet.tasks.registry.register import Record, register
from tests.integration.registered import artifacts_of, context_of


@pytest.fixture
def registry(root: Path) -> Registry:
    """Three converged versions, of which the first is the champion."""
    for key in "abc":
        register(Record(config.Register(), "r"), context_of(root, key * 64), *artifacts_of(root))
    return Registry(config.Register(), "digits", root)


def number(registry: Registry) -> str | None:
    found = find(registry)
    return found and found[0]


def test_a_model_that_is_not_there_has_no_champion(root: Path):
    registry = Registry(config.Register(), "digits", root)
    assert find(registry) is None
    with pytest.raises(UsageError, match="has no alias 'champion': there is nothing to roll back"):
        rollback(registry)


def test_only_the_champion_that_was_judged_against_is_replaced(registry: Registry):
    assert promote(registry, "1", "2") == "2" == number(registry)
    assert promote(registry, "1", "3") == "2" == number(registry)
    assert promote(registry, "2", "3") == "3" == number(registry)


def test_going_back_goes_one_step_at_a_time_and_what_was_rolled_back_does_not_return(registry: Registry):
    promote(registry, "1", "2")
    promote(registry, "2", "3")
    lost, now, tags = rollback(registry)
    assert (lost, now, number(registry)) == ("3", "2", "2")
    assert tags["samples_uri"] == str(registry.root / "sample")
    assert promote(registry, "2", "3") == "2" == number(registry)
    assert rollback(registry)[:2] == ("2", "1")
    with pytest.raises(UsageError, match="is the first champion"):
        rollback(registry)
    assert number(registry) == "1"


def test_a_promotion_repeated_after_a_kill_keeps_the_way_back(registry: Registry):
    promote(registry, "1", "2")
    assert promote(registry, "1", "2") == "2"
    assert rollback(registry)[:2] == ("2", "1")
