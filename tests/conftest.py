"""Shapes and types of tensors are checked while testing."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tests run side by side, one to a core

import pytest
from jaxtyping import install_import_hook

from tests import ceph, faulty_proxy

install_import_hook(["scorefleet.tasks.ebm", "scorefleet.tasks.mcmc"], "beartype.beartype")

# What a shell runs in the background, or by nohup, ignores these, and so would the commands that tests start and stop.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)

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


@pytest.fixture(scope="session")
def ceph_daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph.Ceph]:
    """A real S3, Ceph's; skipped where its daemons are not installed."""
    missing = ceph.missing()
    if missing:
        pytest.skip(f"Ceph is not installed ({', '.join(missing)}): apt-get install {' '.join(ceph.PACKAGES)}")
    with ceph.running(tmp_path_factory.mktemp("ceph")) as daemons:
        ceph.make_bucket(daemons.endpoint, ceph.BUCKET)
        yield daemons


@pytest.fixture(scope="session")
def s3(ceph_daemons: ceph.Ceph) -> str:
    """Its endpoint."""
    return ceph_daemons.endpoint


@pytest.fixture
def place(s3: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in a bucket that no other test uses, and what the environment says of how to get there."""
    for name, value in ceph.environment(s3).items():
        monkeypatch.setenv(name, value)
    return f"s3://{ceph.BUCKET}/{request.node.name.replace('[', '-').rstrip(']')}"


@pytest.fixture
def proxy(place: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[faulty_proxy.Proxy]:
    """The same S3 behind a proxy that can be told to fail."""
    with faulty_proxy.before(s3) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.endpoint)
        yield made
