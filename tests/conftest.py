"""Shapes and types of tensors are checked while testing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook(["tasks.ebm", "tasks.mcmc"], "beartype.beartype")

Copy = Callable[[str], Path]


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the smallest stores, `model` and `target`: made once, never to be changed."""
    from tests import tiny_stores  # torch, for which other tests need not wait

    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("model", "target")}
    tiny_stores.model_store(folders["model"])
    tiny_stores.target_store(folders["target"])
    return folders


@pytest.fixture
def tiny_copy(tiny_folders: dict[str, Path], tmp_path: Path) -> Copy:
    """A store to be damaged, `model` or `target`."""

    def copy(kind: str) -> Path:
        return Path(shutil.copytree(tiny_folders[kind] / "store", tmp_path / kind / "store"))

    return copy
