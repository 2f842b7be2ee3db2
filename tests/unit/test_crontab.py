"""Our lines in a crontab, and all others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorefleet.pipelines.crontab import BEGIN, END, lines_of, scheduled, with_schedules
from scorefleet.tasks.errors import ServiceError

LINES = st.lists(st.text("abc #%*/", max_size=9).map(lambda line: f"{line}\n"), max_size=4).map("".join)


@given(LINES, LINES)
def test_lines_of_others_are_never_touched(above, below):
    a, b = lines_of("a", "0 3 * * *", ["x"], True), lines_of("b", "* * * * *", ["y z"], False)
    text = with_schedules(above, {"a": a})
    assert text == f"{above}{BEGIN}\n" + "".join(f"{line}\n" for line in a) + f"{END}\n"
    text = with_schedules(text + below, {"b": b, "a": a})
    assert scheduled(text) == {"a": a, "b": b}
    assert with_schedules(text, scheduled(text)) == text
    assert with_schedules(text, {}) == above + below


def test_a_crontab_whose_last_line_has_no_end_keeps_it():
    assert with_schedules("0 1 * * * x", {"a": ["l # scorefleet a"]}).startswith("0 1 * * * x\n")
    assert with_schedules("", {}) == ""


@pytest.mark.parametrize("catches_up", [True, False])
def test_only_what_is_to_be_caught_up_is_looked_for_between_ticks(catches_up):
    lines = lines_of("n", "0 3 * * *", ["run", "a b", "5%"], catches_up)
    assert [line.split()[0] for line in lines] == ["0", "@reboot", "@hourly"][: 3 if catches_up else 1]
    assert lines[0] == "0 3 * * * run 'a b' 5\\% # scorefleet n"


def test_a_line_of_others_between_the_marks_is_kept_and_marks_that_do_not_pair_are_refused():
    text = with_schedules("", {"a": ["l # scorefleet a"]}).replace(END, f"AWS_REGION=x\n{END}")
    assert with_schedules(text, {}) == "AWS_REGION=x\n"
    kept = with_schedules(text, {"b": ["m # scorefleet b"]})
    assert kept == f"AWS_REGION=x\n{BEGIN}\nm # scorefleet b\n{END}\n"
    for broken in (text.replace(f"{END}\n", ""), text.replace(BEGIN, "#"), text + text):
        with pytest.raises(ServiceError, match="do not pair"):
            with_schedules(broken, {})
