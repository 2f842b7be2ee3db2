"""The page, from a finished run to a browser."""

import shutil
import subprocess
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scorefleet.tasks import config
from scorefleet.tasks.reports.report import report
from tests.finished_run import EXCHANGE, finish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--virtual-time-budget=5000"]
VOID = {"meta", "link", "br", "img", "path", "use", "rect", "image"}


class Page(HTMLParser):
    """Collects what the tests ask about, and refuses tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"tags left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def having(self, *tags):
        return [attributes for tag, attributes in self.attributes if tag in tags]


def made(folder, **changes):
    run = finish(folder, **changes)
    again = partial(report, config.Report(num_images=25), run.context("report"), *run[1:4], run.evaluate())
    return again, again()


@pytest.fixture(scope="module", params=["sklearn:digits", "sklearn:wine"])
def page(request, tmp_path_factory):
    exchange = EXCHANGE if request.param == "sklearn:wine" else None
    _, artifact = made(tmp_path_factory.mktemp("run"), data=request.param, exchange=exchange)
    return Path(artifact.uri)


def _figures(page):
    return (page.parent / "figures").iterdir()


def test_page_is_whole_and_says_the_verdict(page):
    parsed = Page(page.read_text())
    text = " ".join(" ".join(parsed.words).split())
    remedies = page.read_text().count('class="remedy"')
    assert ("The chains converged, but the draws fall short." if remedies else "The chains converged.") in text
    named = text.partition("each with a remedy below: ")[2].partition(". ")[0].split("; ") if remedies else []
    assert len([name for name in named if not name.startswith("Chains that stay")]) == remedies
    assert "Leaning towards training rows" in text
    assert ("made 1.25 round trips a chain" in text) == ("swaps.svg" in {path.name for path in _figures(page)})
    assert "None" not in text
    assert "nan" not in text.split()


def test_page_asks_nothing_of_the_network(page):
    for attributes in Page(page.read_text()).having("link", "script", "img", "image", "use", "iframe", "object"):
        for key in ("src", "href", "xlink:href"):
            assert attributes.get(key, "#").startswith(("data:", "#"))
    assert "url(http" not in page.read_text()
    assert "@import" not in page.read_text()


def test_every_picture_says_in_words_what_it_shows(page):
    parsed = Page(page.read_text())
    pictures = [attributes.get("alt") for attributes in parsed.having("img")]
    drawings = [attributes["aria-label"] for attributes in parsed.having("svg")]
    assert len(pictures) + len(drawings) >= 7
    assert all(len(words or "") > 15 for words in pictures + drawings)


def test_ids_are_unique_and_every_reference_finds_its_own(page):
    parsed = Page(page.read_text())
    ids = [attributes["id"] for _, attributes in parsed.attributes if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [attributes.get("href") or attributes.get("xlink:href", "") for attributes in parsed.having("use")]
    assert {reference.removeprefix("#") for reference in references} <= set(ids)


def test_every_table_and_figure_is_a_file_beside_the_page(page):
    links = [attributes["href"] for attributes in Page(page.read_text()).having("a")]
    assert "tables/checks.csv" in links
    for link in links:
        assert (page.parent / link).stat().st_size > 0
    assert len(list((page.parent / "figures").iterdir())) >= 7


def test_the_same_run_gives_the_same_bytes(tmp_path):
    again, artifact = made(tmp_path, data="sklearn:wine")
    before = {path: path.read_bytes() for path in Path(artifact.uri).parent.rglob("*.*")}
    again()
    assert {path: path.read_bytes() for path in Path(artifact.uri).parent.rglob("*.*")} == before


def test_page_of_chains_that_did_not_converge_says_so_first(tmp_path):
    _, artifact = made(tmp_path, data="sklearn:wine", num_stuck=200)
    words = " ".join(Page(Path(artifact.uri).read_text()).words)
    first, second, third = "The chains did not converge.", "200 of 256 chains", "Data and draws"
    assert words.index(first) < words.index(second) < words.index(third)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_page_renders_in_a_browser_without_an_error(page, tmp_path):
    picture = tmp_path / "page.png"
    command = [CHROMIUM, *FLAGS, "--enable-logging=stderr", f"--user-data-dir={tmp_path}", "--window-size=1280,6000"]
    command += [f"--screenshot={picture}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    assert _ink_share(picture) > 0.03


def _ink_share(picture):
    """Share of pixels that are not the page's ground, in the upper half of the page."""
    pixels = np.asarray(Image.open(picture).convert("L"), dtype=float)[:3000]
    return (np.abs(pixels - np.median(pixels)) > 40).mean()
