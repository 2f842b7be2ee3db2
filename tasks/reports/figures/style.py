"""One look for every figure: colours that colour-blind readers tell apart, ink that follows the page, fixed bytes."""

import base64
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from html import escape
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from PIL import Image

Arguments = ParamSpec("Arguments")

DATA, DRAWS, CONTROL = "#3f7fc1", "#e07a2f", "#8c6bb1"
"""Blue, orange and violet: two thirds of the Okabe-Ito distances, and legible on white and on near-black."""

MAX_NAME = 32
"""Letters of a user's name that a figure shows."""

INK = "#010203"
"""Stands for the page's text colour, light or dark, until a figure is put into a page."""

SETTINGS: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=["#e07a2f", "#3f7fc1", "#8c6bb1", "#2f9e86", "#c2588a", "#9a8a2c"]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "legend.handlelength": 1.2,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
}


@dataclass(frozen=True)
class Picture:
    """A figure as a file and as a piece of a page; `alt` says in words what it shows."""

    name: str
    alt: str
    kind: str
    data: bytes

    @property
    def file_name(self) -> str:
        return f"{self.name}.{self.kind}"

    @property
    def html(self) -> str:
        """Inline SVG in the page's ink, or an embedded image."""
        if self.kind == "png":
            return f'<img alt="{escape(self.alt)}" src="data:image/png;base64,{base64.b64encode(self.data).decode()}">'
        svg = self.data.decode()
        svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
        svg = re.sub(r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"', r"<svg \1", svg, count=1)
        return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(self.alt)}" ', 1)

    @property
    def file(self) -> bytes:
        """What stands alone: SVG on white."""
        return self.data.replace(b"<svg ", b'<svg style="background:#fff" ', 1) if self.kind == "svg" else self.data


def styled(draw: Callable[Arguments, Picture]) -> Callable[Arguments, Picture]:
    """Draw a figure in this look, whatever the settings of the process are."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Picture:
        with mpl.rc_context(SETTINGS), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader's browser has it
            return draw(*args, **kwargs)

    return drawn


def plain(text: str) -> str:
    """Return a user's name as one short line of a figure, in which no `$` begins mathematics."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return (line if len(line) <= MAX_NAME else line[: MAX_NAME - 1] + "…").replace("$", r"\$")


def panels(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """A figure, in inches, and its axes as an array [row, column]."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False)


def to_svg(figure: Figure, name: str, alt: str) -> Picture:
    """The same bytes for the same figure; ids start with the figure's name, for many share a page."""
    sink = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(sink, format="svg", dpi=130, metadata={"Date": None, "Creator": None})
    svg = re.sub(rb'(id="|url\(#|href="#)', rb"\g<1>" + name.encode() + b"-", sink.getvalue())
    return Picture(name, alt, "svg", svg)


def to_png(pixels: np.ndarray, name: str, alt: str) -> Picture:
    """Pixels, uint8 [height, width, 4], as an image."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format="PNG", optimize=True)
    return Picture(name, alt, "png", sink.getvalue())
