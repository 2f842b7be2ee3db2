import re

import numpy as np

from tasks.provenance import git_commit, versions


def test_versions_are_those_that_run() -> None:
    assert versions()["numpy"] == np.__version__
    assert set(versions()) == {"python", "torch", "ray", "pyarrow", "mlflow", "numpy"}


def test_the_commit_is_whole_and_says_whether_it_is_dirty() -> None:
    commit = git_commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)
