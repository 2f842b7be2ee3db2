"""Kubernetes as a pod reaches it, over TLS on loopback: whom it trusts, and what its complaints say."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from scorefleet.pipelines.launchers import in_cluster, kubernetes_objects
from scorefleet.pipelines.launchers.kubernetes_errors import AlreadyThere, Changed, NotThere
from scorefleet.tasks.errors import ServiceError, UsageError
from tests import kubernetes_api
from tests.kubernetes_api import CORE, Kubernetes

SECRETS = f"{CORE}/secrets"
MINE = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    """An API, and what a pod has to reach it, without kubectl on the PATH."""
    monkeypatch.setattr(in_cluster, "ACCOUNT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with kubernetes_api.running(tmp_path) as kubernetes:
        trust(tmp_path, tmp_path)
        (tmp_path / "token").write_text(f"{kubernetes.token}\n")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kubernetes.port))
        yield kubernetes


def trust(account: Path, server: Path) -> None:
    certificate = load_pem_x509_certificate((server / "certificate.pem").read_bytes())
    (account / "ca.crt").write_bytes(certificate.public_bytes(Encoding.PEM))


def test_objects_are_made_once_and_changed_as_they_are_now(api):
    kubernetes_objects.create(SECRETS, MINE)
    with pytest.raises(AlreadyThere):
        kubernetes_objects.create(SECRETS, MINE)
    found = kubernetes_objects.get(f"{SECRETS}/mine")
    kubernetes_objects.change(f"{SECRETS}/mine", lambda secret: secret.update(data={"a": "YQ=="}))
    with pytest.raises(Changed):
        kubernetes_objects.replace(f"{SECRETS}/mine", found)
    assert kubernetes_objects.get(f"{SECRETS}/mine")["data"] == {"a": "YQ=="}
    with pytest.raises(UsageError, match=r"^Kubernetes refuses it: .*'unknown' was unexpected"):
        kubernetes_objects.create(SECRETS, MINE | {"metadata": {"name": "another"}, "unknown": 1})
    kubernetes_objects.delete(f"{SECRETS}/mine")
    with pytest.raises(NotThere):
        kubernetes_objects.delete(f"{SECRETS}/mine")


def test_the_token_of_now_is_sent_and_none_is_said(api, tmp_path):
    before, api.token = api.token, "renewed"
    with pytest.raises(ServiceError, match=r"^Kubernetes by the service account of this pod: Unauthorized$"):
        kubernetes_objects.get(SECRETS)
    for text in (f"{before}\nX-Other: {before}", "", "ü"):
        (tmp_path / "token").write_text(text)
        with pytest.raises(ServiceError, match=r"its file holds no token$"):
            kubernetes_objects.get(SECRETS)
    (tmp_path / "token").write_text("renewed")
    with pytest.raises(NotThere):
        kubernetes_objects.get(f"{SECRETS}/mine")


def test_nobody_else_is_given_the_token(api, tmp_path, monkeypatch):
    """Neither a server that another vouches for, nor a proxy."""
    (tmp_path / "other").mkdir()
    with kubernetes_api.running(tmp_path / "other"), socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(NotThere):
            kubernetes_objects.get(f"{SECRETS}/mine")
        trust(tmp_path, tmp_path / "other")
        asked = len(api.asked)
        with pytest.raises(ServiceError, match=r"no answer from 127\.0\.0\.1: .*CERTIFICATE_VERIFY_FAILED"):
            kubernetes_objects.get(f"{SECRETS}/mine")
        assert len(api.asked) == asked


def test_without_kubectl_and_outside_of_a_pod_it_is_a_line(api, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(UsageError, match="needs kubectl on the PATH"):
        kubernetes_objects.get(SECRETS)


def test_an_api_that_is_not_there_is_a_line(api, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
    with pytest.raises(ServiceError, match=r"no answer from 127\.0\.0\.1: .*refused"):
        kubernetes_objects.get(SECRETS)
