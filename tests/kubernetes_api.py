"""As much of Kubernetes as `--to kubernetes` speaks to, over TLS with a bearer token, and what KubeRay does with a job.

There is no API server that could be installed here. This one keeps objects, refuses what has fields that Kubernetes or
KubeRay do not know, answers 409 to a second of one name, 401 without the token, and runs entry points for real:
through two shells, in a folder unpacked from the Secret that the submitter's pod mounts.
"""

import base64
import io
import ipaddress
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests import kuberay_fields

NAMESPACE = "scorefleet"
RAYJOBS, CORE = f"/apis/ray.io/v1/namespaces/{NAMESPACE}/rayjobs", f"/api/v1/namespaces/{NAMESPACE}"
BATCH = f"/apis/batch/v1/namespaces/{NAMESPACE}"
CRONJOBS, JOBS = f"{BATCH}/cronjobs", f"{BATCH}/jobs"
LISTED = (RAYJOBS, JOBS, f"{CORE}/pods", f"{CORE}/events")
SHELL = "printf '%s\\0' "


class Kubernetes:
    """Objects by their paths, and the commands that run."""

    def __init__(self, folder: Path):
        self.folder, self.token = folder, secrets.token_hex(16)
        self.objects: dict[str, dict] = {}
        self.logs: dict[str, Path] = {}
        self.commands: dict[str, subprocess.Popen[bytes]] = {}
        self.lock = threading.RLock()
        self.asked: list[str] = []
        self.is_away = False
        self.port = 0

    def create(self, path: str, document: dict, is_tried: bool = False) -> tuple[int, dict]:
        place = f"{path}/{document['metadata']['name']}"
        with self.lock:
            if place in self.objects:
                return 409, status("AlreadyExists", f"{place} already exists")
            try:
                (kuberay_fields.require_rayjob if path == RAYJOBS else kuberay_fields.require)(document)
            except Exception as error:
                return 400, status("BadRequest", f"strict decoding error: {str(error).splitlines()[0]}")
            if is_tried:
                return 201, document
            document["metadata"] |= {"uid": secrets.token_hex(8), "creationTimestamp": now(), "resourceVersion": "1"}
            document["metadata"]["namespace"] = NAMESPACE
            self.objects[place] = document
            self._reconcile(document["metadata"]["name"])
            return 201, document

    def replace(self, path: str, document: dict) -> tuple[int, dict]:
        with self.lock:
            there = self.objects.get(path)
            if there is None:
                return 404, status("NotFound", f"{path} not found")
            if document["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
                return 409, status("Conflict", "the object has been modified")
            document["metadata"]["resourceVersion"] = str(int(there["metadata"]["resourceVersion"]) + 1)
            there |= {key: value for key, value in document.items() if key != "status"}
            if there.get("spec", {}).get("suspend"):
                self._end(there["metadata"]["name"])
                self._become(there, jobDeploymentStatus="Suspended", jobStatus="")
            return 200, there

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict | str]:
        with self.lock:
            if path in self.objects:
                return 200, self.objects[path]
            if path.endswith("/log") and path in self.logs:
                return 200, self.logs[path].read_text()
            if path in LISTED:
                wanted = dict(pair.split("=") for text in query.get("labelSelector", []) for pair in text.split(","))
                found = [one for place, one in self.objects.items() if place.rpartition("/")[0] == path]
                labelled = [one for one in found if wanted.items() <= one["metadata"].get("labels", {}).items()]
                kept = labelled if path == RAYJOBS else [_as_item(one) for one in labelled]
                return 200, {"kind": "List", "items": kept}
            return 404, status("NotFound", f"{path} not found")

    def delete(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict]:
        """An object and, as it must be told, what it alone owned."""
        assert query["propagationPolicy"] == ["Background"]
        with self.lock:
            if self.objects.pop(path, None) is None:
                return 404, status("NotFound", f"{path} not found")
            while orphans := [place for place, one in self.objects.items() if self._is_orphan(one)]:
                for place in orphans:
                    del self.objects[place]
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _is_orphan(self, document: dict) -> bool:
        owners = {owner["uid"] for owner in document["metadata"].get("ownerReferences", [])}
        return bool(owners) and not owners & {one["metadata"].get("uid") for one in self.objects.values()}

    def _reconcile(self, name: str) -> None:
        """What the operator does when a RayJob and the Secret that its submitter mounts are there."""
        job, secret = self.objects.get(f"{RAYJOBS}/{name}"), self.objects.get(f"{CORE}/secrets/{name}")
        if job is None or secret is None:
            return
        pod = job["spec"]["submitterPodTemplate"]["spec"]
        assert {"name": "parcel", "secret": {"secretName": name}} in pod["volumes"]
        (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "parcel")
        folder = self.folder / name
        working = Path(job["spec"]["runtimeEnvYAML"].partition(": ")[2].strip())
        assert working.parent == Path(mount["mountPath"])
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(secret["data"][working.name]))) as archive:
            archive.extractall(folder)
        self._pod(name)
        threading.Thread(target=self._run, args=(name, job, folder), daemon=True).start()

    def _pod(self, name: str) -> None:
        pod = f"{CORE}/pods/{name}-x7k2p"
        self.logs[f"{pod}/log"] = self.folder / f"{name}.log"
        self.logs[f"{pod}/log"].touch()
        metadata = {"name": f"{name}-x7k2p", "labels": {"job-name": name}, "creationTimestamp": now()}
        self.objects[pod] = {"metadata": metadata, "status": {"phase": "Running"}}

    def _run(self, name: str, job: dict, folder: Path) -> None:
        first = subprocess.run(
            ["bash", "-c", SHELL + job["spec"]["entrypoint"]], capture_output=True, text=True, check=True
        )
        words = subprocess.list2cmdline(first.stdout.rstrip("\0").split("\0"))
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        environment = {key: value for key, value in environment.items() if key != "PYTHONPATH"}
        with (self.folder / f"{name}.log").open("ab") as log, self.lock:
            command = self.commands[name] = subprocess.Popen(
                words, shell=True, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            self._become(job, jobDeploymentStatus="Running", jobStatus="RUNNING", startTime=now())
        code = command.wait()
        with self.lock:
            if not job["spec"].get("suspend"):
                message = f"Job entrypoint command failed with exit code {code}, last available logs (truncated):\n..."
                said = {"jobStatus": "FAILED", "message": message} if code else {"jobStatus": "SUCCEEDED"}
                self._become(job, jobDeploymentStatus="Failed" if code else "Complete", endTime=now(), **said)

    def _end(self, name: str) -> None:
        if name in self.commands and self.commands[name].poll() is None:
            os.killpg(self.commands[name].pid, signal.SIGTERM)

    @staticmethod
    def _become(job: dict, **status: str) -> None:
        job["status"] = job.get("status", {}) | status
        job["metadata"]["resourceVersion"] = str(int(job["metadata"]["resourceVersion"]) + 1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kubernetes: Kubernetes

    def _answer(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        text = self._body()
        self.kubernetes.asked.append(path)
        document = json.loads(text) if text else {}
        if self.headers.get("Authorization") != f"Bearer {self.kubernetes.token}":
            code, answer = 401, status("Unauthorized", "Unauthorized")
        elif self.kubernetes.is_away:
            code, answer = 503, status("ServiceUnavailable", "the server is currently unable to handle the request")
        elif self.command == "POST":
            code, answer = self.kubernetes.create(path, document, query.get("dryRun") == ["All"])
        elif self.command == "PUT":
            code, answer = self.kubernetes.replace(path, document)
        elif self.command == "DELETE":
            code, answer = self.kubernetes.delete(path, query)
        else:
            code, answer = self.kubernetes.get(path, query)
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *words: object) -> None:
        pass


def status(reason: str, message: str) -> dict:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}


def _as_item(document: dict) -> dict:
    """Kubernetes's own kinds do not say what they are in a list."""
    return {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _certificate(folder: Path) -> Path:
    """A key and its own certificate; kubectl sends no token where there is none."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now, here = datetime.now(UTC), x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    certificate = made.add_extension(here, critical=False).sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "certificate.pem").write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return folder / "certificate.pem"


@contextmanager
def running(folder: Path) -> Iterator[Kubernetes]:
    """One on loopback, with the kubeconfig that leads to it in `folder`."""
    kubernetes, context = Kubernetes(folder), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"kubernetes": kubernetes}))
    server.socket, kubernetes.port = context.wrap_socket(server.socket, server_side=True), server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    authority = {"certificate-authority": str(folder / "certificate.pem")}
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": f"https://127.0.0.1:{server.server_port}", **authority}}],
        "users": [{"name": "me", "user": {"token": kubernetes.token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
    }
    (folder / "kubeconfig").write_text(json.dumps(configuration))
    try:
        yield kubernetes
    finally:
        for command in kubernetes.commands.values():
            if command.poll() is None:
                os.killpg(command.pid, signal.SIGKILL)
            command.wait()
        server.shutdown()
        server.server_close()
