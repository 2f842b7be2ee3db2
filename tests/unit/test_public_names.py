"""What `import scorefleet` offers, and what it costs."""

import subprocess
import sys

import pytest

import scorefleet


def test_every_public_name_is_there():
    assert all(getattr(scorefleet, name).__doc__ for name in scorefleet.__all__)
    assert scorefleet.__version__
    with pytest.raises(AttributeError, match="has no attribute 'lode': it has"):
        _ = scorefleet.lode


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        ("import scorefleet", "{'numpy', 'torch', 'ray', 'mlflow'}"),
        ("from scorefleet import load", "{'ray', 'mlflow'}"),
    ],
)
def test_nothing_is_imported_before_it_is_needed(words, heavy):
    code = f"import sys; {words}; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
