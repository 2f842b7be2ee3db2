"""Every text file and every text from another program has a named encoding: the locale's own may be any."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = [Path(__file__).parents[2] / name for name in ("pipelines", "tasks")]
TEXTS = {"read_text", "write_text", "open", "fdopen", "NamedTemporaryFile", "TemporaryFile", "TextIOWrapper"}
PROGRAMS = {"text", "universal_newlines"}


def unnamed(source: str) -> Iterator[int]:
    """Lines of calls that would ask the locale."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        words = {word.arg for word in call.keywords}
        is_binary = any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in _modes(name, call))
        of_system = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in ("os", "pa.ipc", "self")
        opens_text = name in TEXTS and not is_binary and not (of_system and name == "open")
        if "encoding" not in words and (opens_text or words & PROGRAMS):
            yield call.lineno


def _modes(name: str, call: ast.Call) -> list[ast.expr]:
    """What could be the mode, by place or by name."""
    return [*call.args, *(word.value for word in call.keywords if word.arg == "mode")] if "text" not in name else []


def test_no_text_is_read_or_written_by_the_locales_encoding():
    paths = [path for package in PACKAGES for path in package.rglob("*.py")]
    found = {str(path): [*unnamed(path.read_text(encoding="utf-8"))] for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert len(paths) > 100


@pytest.mark.parametrize(
    "line",
    [
        "Path(x).read_text()",
        "path.write_text(text)",
        "open(x)",
        "path.open('w')",
        "os.fdopen(number, 'w')",
        "subprocess.run(words, text=True)",
    ],
)
def test_a_call_that_names_none_is_found(line):
    assert [*unnamed(line)] == [1]
