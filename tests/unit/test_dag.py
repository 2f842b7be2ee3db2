import dataclasses
from dataclasses import dataclass

import pytest

from scorefleet.tasks.config import commands
from scorefleet.tasks.dag.dag import Pipeline, Step
from scorefleet.tasks.errors import DataError
from scorefleet.tasks.records.journal import Journal


@dataclass(frozen=True)
class Setting:
    value: int = 1


@dataclass(frozen=True)
class Number:
    value: int
    names: tuple[str, ...] = ()


class Calls(list):
    """Steps that add, and say that they ran."""

    def first(self, setting, context):
        self.append("first")
        (context.folder / "half.txt").write_text("written before the end")
        return Number(setting.value, ("a", "b"))

    def second(self, setting, context, first):
        self.append("second")
        if setting.value < 0:
            raise DataError("negative")
        return Number(first.value + setting.value)


@pytest.fixture
def calls():
    return Calls()


def pipeline(calls, root, first=1, second=10, seed=0, reads="x"):
    steps = [
        Step("second", calls.second, Setting(second), Number, needs=("first",)),
        Step("first", calls.first, Setting(first), Number, reads=lambda setting: reads),
    ]
    return Pipeline.of(steps, commands.Run(root=str(root), seed=seed))


def execute(made):
    artifacts, journal = {}, Journal(made.root / "journal.jsonl")
    outcomes = {}
    for name in made.keys:
        outcomes[name] = made.execute(name, artifacts, journal)
        artifacts[name] = outcomes[name].artifact
    return outcomes


def test_steps_run_after_what_they_need_and_a_second_run_reads_back_the_same(calls, tmp_path):
    first = execute(pipeline(calls, tmp_path))
    again = execute(pipeline(calls, tmp_path))
    assert calls == ["first", "second"]
    assert first["second"].artifact == again["second"].artifact == Number(11)
    assert first["first"].artifact == again["first"].artifact == Number(1, ("a", "b"))
    assert (first["second"].was_done, again["second"].was_done) == (False, True)


def test_a_step_that_fails_publishes_nothing_and_the_steps_before_it_stay(calls, tmp_path):
    with pytest.raises(DataError):
        execute(pipeline(calls, tmp_path, second=-1))
    assert pipeline(calls, tmp_path, second=-1).is_done("first")
    assert not pipeline(calls, tmp_path, second=-1).is_done("second")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"first": 2}, {"first", "second"}),
        ({"second": 2}, {"second"}),
        ({"seed": 2}, {"first", "second"}),
        ({"reads": "y"}, {"first", "second"}),
        ({}, set()),
    ],
)
def test_a_key_changes_with_what_the_step_and_those_before_it_depend_on(calls, tmp_path, change, changed):
    before, after = pipeline(calls, tmp_path).keys, pipeline(calls, tmp_path, **change).keys
    assert {name for name in before if before[name] != after[name]} == changed


def test_from_forgets_a_step_and_those_after_it(calls, tmp_path):
    made = pipeline(calls, tmp_path)
    execute(made)
    made.forget("second")
    assert made.is_done("first")
    assert not made.is_done("second")
    made.forget(None)
    assert not made.is_done("first")


def test_what_a_step_will_refuse_is_refused_before_any_step_runs(calls, tmp_path):
    def refuse(setting):
        raise DataError("will be refused")

    made = pipeline(calls, tmp_path)
    last = dataclasses.replace(made.steps[0], check=refuse)
    made = dataclasses.replace(made, steps=[last, made.steps[1]])
    with pytest.raises(DataError, match="will be refused"):
        made.check(made.keys)
    made.check(["first"])
    assert calls == []


def test_what_a_step_chose_is_kept_with_what_it_made(tmp_path):
    def choose(setting, context):
        context.resolve("train", Setting(7))
        return Number(1)

    made = Pipeline.of([Step("first", choose, Setting(), Number)], commands.Run(root=str(tmp_path)))
    for _ in range(2):
        assert execute(made)["first"].resolved == {"train.value": 7}
