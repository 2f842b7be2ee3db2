"""What every report shares: one self-contained page, its figures and tables as files beside it, and where it all comes
from.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from scorefleet.tasks.dag import published
from scorefleet.tasks.dag.artifacts import Report
from scorefleet.tasks.dag.context import Context
from scorefleet.tasks.judging.evaluate import to_csv
from scorefleet.tasks.reports.figures.style import CONTROL, DATA, DRAWS, Picture
from scorefleet.tasks.store import objects

OPTION = re.compile(r"--\w+(?:\.\w+)*(?: \d+)?")
PAGE = "report.html"


def render(template: str, **values: Any) -> str:
    """A template of this package as text, which must be given all that it names."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(
            lambda name: files("scorefleet.tasks.reports").joinpath(name).read_text(encoding="utf-8")
        ),
    )
    environment.filters["options"] = _options
    colours = {"data": DATA, "draws": DRAWS, "control": CONTROL}
    return environment.get_template(template).render(colours=colours, **values)


def publish(context: Context, text: str, pictures: Mapping[str, Picture], tables: Mapping[str, pa.Table]) -> Report:
    """Write the page, every picture under `figures/` and every table as CSV under `tables/`, and record them."""
    figures, csv_files = context.folder / "figures", context.folder / "tables"
    for folder in (figures, csv_files):
        folder.mkdir(exist_ok=True)
    for picture in pictures.values():
        objects.replace(figures, picture.file_name, picture.file)
        context.journal.artifact(figures / picture.file_name, "report/figures")
    for name, table in tables.items():
        objects.replace(csv_files, f"{name}.csv", to_csv(table))
        context.journal.artifact(csv_files / f"{name}.csv", "report/tables")
    objects.replace(context.folder, PAGE, text.encode())
    return Report(str(context.folder / PAGE))


def _options(text: str) -> Markup:
    """A sentence whose options of the command line, each with its value, are code and stay on one line."""
    return Markup(OPTION.sub(lambda option: f"<code>{option[0]}</code>", str(escape(text))))


def listing(facts: Mapping[str, Any]) -> str:
    """`width 64, num blocks 2`"""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items() if value is not None)


def costs(folders: Mapping[str, Path]) -> dict[str, str]:
    """Seconds and memory of the steps that have published them."""
    found = {}
    for name, folder in folders.items():
        if (folder / published.NAME).exists():
            manifest = published.read(folder)
            found[f"Step {name}"] = f"{manifest['seconds']:.1f} s, {manifest['peak_bytes'] / 2**30:.2f} GiB at most"
    return found


def pairs(facts: Mapping[str, str]) -> pa.Table:
    """Facts as a table of two columns."""
    return pa.table({"what": list(facts), "value": list(facts.values())})
