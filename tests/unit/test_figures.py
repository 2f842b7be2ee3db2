"""Names that users give to columns are text in a figure, whatever is in them."""

from xml.etree import ElementTree

import numpy as np

from scorefleet.tasks.reports.figures import comparisons, tables, target
from scorefleet.tasks.reports.figures.style import MAX_NAME, Picture, plain

ODD = [
    "US$_a_b$",
    "$\\frac{1}{$",
    "a\\$b$c",
    "<b>&\"'",
    "_x",
    "two\nlines\x1b[31m",
    "🐟 größe 温度",
    "n" * 3000,
    "{x}^2_i",
]


def shown_in(picture: Picture) -> set[str]:
    return {
        element.text or "" for element in ElementTree.fromstring(picture.data).iter("{http://www.w3.org/2000/svg}text")
    }


def as_shown(name: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in name)
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1] + "…"


def test_every_name_is_shown_as_it_is():
    rows = np.random.default_rng(0).normal(size=(60, len(ODD)))
    shares = np.full(len(ODD), 1 / len(ODD))
    pictures = [
        comparisons.classes(ODD, shares, shares, 100),
        target.marginals(rows[None], ODD),
        target.scatter_pairs(rows[:, :2], ODD[:2]),
        tables.pairs(rows[:, :2], rows[:, :2], ODD[:2]),
        tables.walk(rows[None], rows, [1.0], ODD),
    ]
    for picture, names in zip(pictures, (ODD, ODD, ODD[:2], ODD[:2], ODD[:2]), strict=True):
        assert {as_shown(name) for name in names} <= shown_in(picture), picture.name
        assert "<b>" not in picture.html


def test_a_long_name_is_cut_and_an_ordinary_one_is_not():
    assert plain("length") == "length"
    assert len(plain("n" * 100)) == MAX_NAME
