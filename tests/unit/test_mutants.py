from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_code_still_has_the_one_place_where_a_mutant_is_planted(mutant):
    assert (REPOSITORY / mutant.file).read_text().count(mutant.old) == 1
    assert all((REPOSITORY / test).is_file() for test in mutant.killers)


def test_mutants_have_names_of_their_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
