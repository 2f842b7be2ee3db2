"""What KubeRay lets pass in a user's file, and would open pods or their Ray to others."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import UsageError
from tasks.redaction import redact

KINDS = ("RayJob", "RayCluster")
SECRET_NAME = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|(?:ACCESS|API|PRIVATE)_?KEY", re.IGNORECASE)
HOST = ("hostNetwork", "hostPID", "hostIPC")


def read(file: Path) -> dict[str, Any]:
    """The mapping of a YAML file."""
    try:
        document = yaml.safe_load(file.read_text())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML: {' '.join(str(error).split())[:160]}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{file} is not a YAML mapping of keys to values")
    return document


def findings_of(document: dict[str, Any]) -> Iterator[str]:
    """Everything that is not as it must be in a RayJob or RayCluster, each in one line that says what to do."""
    if not (document.get("metadata") or {}).get("namespace"):
        yield "metadata.namespace is missing: name one of your own, so that no other's pods are beside yours"
    spec = document.get("spec") or {}
    if document.get("kind") == "RayJob":
        yield from _of_job(spec)
        spec = spec.get("rayClusterSpec") or {}
    if (spec.get("authOptions") or {}).get("mode") != "token":
        yield "authOptions must be {mode: token}: whoever reaches Ray's ports runs code"
    head = spec.get("headGroupSpec") or {}
    if head.get("serviceType") not in (None, "ClusterIP"):
        yield f"headGroupSpec.serviceType is {head['serviceType']}: ClusterIP, and `kubectl port-forward` from outside"
    if head.get("enableIngress"):
        yield "headGroupSpec.enableIngress opens the dashboard: leave it out, and use `kubectl port-forward`"
    needs_account = bool(spec.get("enableInTreeAutoscaling"))
    yield from _of_pod("headGroupSpec", head.get("template"), needs_account)
    for group in spec.get("workerGroupSpecs") or []:
        name = f"workerGroupSpecs.{group.get('groupName')}"
        least, most = group.get("minReplicas", 0), group.get("maxReplicas")
        number = group.get("replicas", least)
        if most is None or not least <= number <= most:
            yield f"{name} must have minReplicas <= replicas <= maxReplicas, but has {least}, {number}, {most}"
        yield from _of_pod(name, group.get("template"), False)


def _of_job(spec: dict[str, Any]) -> Iterator[str]:
    if "entrypoint" in spec or "runtimeEnvYAML" in spec:
        yield "spec.entrypoint and spec.runtimeEnvYAML are what `scorefleet submit` fills in: leave them out"
    if not spec.get("shutdownAfterJobFinishes"):
        yield "spec.shutdownAfterJobFinishes must be true: pods would stay when the command has ended"
    if spec.get("submissionMode", "K8sJobMode") != "K8sJobMode":
        yield f"spec.submissionMode must be K8sJobMode, whose pod sends the files, but is {spec['submissionMode']}"
    yield from _of_pod("submitterPodTemplate", spec.get("submitterPodTemplate"), False)


def _of_pod(name: str, template: Any, needs_account: bool) -> Iterator[str]:
    pod = (template or {}).get("spec") or {}
    containers = [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]
    if not containers:
        yield f"{name} has no containers: `scorefleet submit` needs its image"
        return
    for key in HOST:
        if pod.get(key):
            yield f"{name} has {key}: its ports and processes would be those of the machine; leave it out"
    if not needs_account and pod.get("automountServiceAccountToken") is not False:
        yield f"{name} must have automountServiceAccountToken: false: user code would hold a key to Kubernetes"
    for container in containers:
        yield from _of_container(f"{name}.{container.get('name')}", container, pod.get("securityContext") or {})


def _of_container(name: str, container: dict[str, Any], of_pod: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
        yield f"{name} must have securityContext.allowPrivilegeEscalation: false, and not be privileged"
    if (of_pod | own).get("runAsNonRoot") is not True:
        yield f"{name} must run as another user than root: securityContext.runAsNonRoot: true"
    for variable in container.get("env") or []:
        value = str(variable.get("value") or "")
        if value and (SECRET_NAME.search(str(variable.get("name"))) or redact(value) != value):
            yield f"{name} holds a secret in {variable['name']}: give it by valueFrom.secretKeyRef"
