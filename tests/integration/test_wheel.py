"""The wheel has one top-level name, and all that the source has."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.hosts import REPOSITORY

KINDS = {".py", ".cpp", ".jinja", ".yaml", ".typed"}


def test_the_wheel_has_one_name_and_every_file(tmp_path):
    source = tmp_path / "source"
    names = ["scorefleet", "tasks", "pipelines", "pyproject.toml", "README.md", "LICENSE"]
    source.mkdir()
    subprocess.run(["cp", "-r", *(str(REPOSITORY / name) for name in names), str(source)], check=True)
    words = [
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(source),
    ]
    subprocess.run([sys.executable, *words], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in held} == {"scorefleet"}
    places = {"scorefleet": REPOSITORY / "scorefleet", "scorefleet/tasks": REPOSITORY / "tasks"}
    places |= {"scorefleet/pipelines": REPOSITORY / "pipelines"}
    expected = {
        f"{package}/{path.relative_to(place).as_posix()}"
        for package, place in places.items()
        for path in Path(place).rglob("*")
        if path.suffix in KINDS
    }
    assert held == expected
    assert len(expected) > 250
