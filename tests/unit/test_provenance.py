import re

import numpy as np

from scorefleet.tasks.records import provenance
from scorefleet.tasks.records.provenance import git_commit, versions


def test_versions_are_those_that_run() -> None:
    assert versions()["numpy"] == np.__version__
    assert set(versions()) == {"python", "torch", "ray", "pyarrow", "mlflow", "numpy"}


def test_the_commit_is_whole_and_says_whether_it_is_dirty() -> None:
    commit = git_commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)


def test_a_key_changes_with_the_code_of_an_imported_module(tmp_path, monkeypatch):
    package = tmp_path / "scorefleet"
    package.mkdir()
    (package / "outer.py").write_text("from scorefleet import inner\n")
    (package / "inner.py").write_text("x = 1\n")
    (package / "other.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "PACKAGE", package)

    def digest():
        provenance.code_digest.cache_clear()
        return provenance.code_digest("scorefleet.outer")

    first = digest()
    (package / "other.py").write_text("x = 2\n")
    assert digest() == first
    (package / "inner.py").write_text("x = 2\n")
    second = digest()
    assert second != first
    (package / "outer.html.jinja").write_text("a page")
    third = digest()
    assert third != second
    (package / "fast.cpp").write_text("int x;")
    assert digest() == third
    (package / "inner.py").write_text("x = 2\nSOURCE = 'fast.cpp'\n")
    fourth = digest()
    (package / "fast.cpp").write_text("int y;")
    assert digest() != fourth
    provenance.code_digest.cache_clear()
