"""What KubeRay lets pass in a user's file, and would open pods or their Ray to others."""

import re
from collections.abc import Iterator
from typing import Any

from scorefleet.tasks.records.redaction import redact

KINDS = ("RayJob", "RayCluster")
SECRET_NAME = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|(?:ACCESS|API|PRIVATE)_?KEY", re.IGNORECASE)
EVERYWHERE = ("0.0.0.0", "::")
HOST = ("hostNetwork", "hostPID", "hostIPC")


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
    service = ((head.get("headService") or {}).get("spec") or {}).get("type", "ClusterIP")
    if service != "ClusterIP":
        yield f"headGroupSpec.headService.spec.type is {service}: ClusterIP, and `kubectl port-forward` from outside"
    yield from _of_variables("autoscalerOptions", spec.get("autoscalerOptions") or {})
    yield from _of_pod("headGroupSpec", head.get("template"))
    for key, value in (head.get("rayStartParams") or {}).items():
        if str(value) in EVERYWHERE:
            yield f"headGroupSpec.rayStartParams.{key} is {value}, all addresses: leave it out, as KubeRay sets it"
    for group in spec.get("workerGroupSpecs") or []:
        name = f"workerGroupSpecs.{group.get('groupName')}"
        least, most = group.get("minReplicas", 0), group.get("maxReplicas")
        number = group.get("replicas", least)
        if most is None or not least <= number <= most:
            yield f"{name} must have minReplicas <= replicas <= maxReplicas, but has {least}, {number}, {most}"
        yield from _of_pod(name, group.get("template"))


def _of_job(spec: dict[str, Any]) -> Iterator[str]:
    if "entrypoint" in spec or "runtimeEnvYAML" in spec:
        yield "spec.entrypoint and spec.runtimeEnvYAML are what `scorefleet submit` fills in: leave them out"
    if spec.get("backoffLimit") or spec.get("suspend"):
        yield "spec.backoffLimit must be 0 and spec.suspend left out: who submits again begins again, and resumes"
    if not spec.get("shutdownAfterJobFinishes"):
        yield "spec.shutdownAfterJobFinishes must be true: pods would stay when the command has ended"
    if spec.get("submissionMode", "K8sJobMode") != "K8sJobMode":
        yield f"spec.submissionMode must be K8sJobMode, whose pod sends the files, but is {spec['submissionMode']}"
    yield from _of_pod("submitterPodTemplate", spec.get("submitterPodTemplate"))


def _of_pod(name: str, template: Any) -> Iterator[str]:
    pod = (template or {}).get("spec") or {}
    containers = [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]
    if not containers:
        yield f"{name} has no containers: `scorefleet submit` needs its image"
        return
    for key in HOST:
        if pod.get(key):
            yield f"{name} has {key}: its ports and processes would be those of the machine; leave it out"
    if pod.get("automountServiceAccountToken") is not False:
        yield f"{name} must have automountServiceAccountToken: false: user code would hold a key to Kubernetes"
    for volume in pod.get("volumes") or []:
        if "hostPath" in volume:
            yield f"{name} mounts hostPath {volume['hostPath'].get('path')}, a folder of its machine: use a claim"
    for container in containers:
        yield from _of_container(f"{name}.{container.get('name')}", container, pod.get("securityContext") or {})


def _of_container(name: str, container: dict[str, Any], of_pod: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
        yield f"{name} must have securityContext.allowPrivilegeEscalation: false, and not be privileged"
    if (of_pod | own).get("runAsNonRoot") is not True:
        yield f"{name} must run as another user than root: securityContext.runAsNonRoot: true"
    if (own.get("capabilities") or {}).get("add"):
        yield f"{name} adds capabilities: leave securityContext.capabilities.add out"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield f"{name} has a hostPort, which opens a port of its machine: leave it out, and use `kubectl port-forward`"
    for word in (*(container.get("command") or []), *(container.get("args") or [])):
        if "RAY_AUTH_TOKEN=" in str(word) or redact(str(word)) != str(word):
            yield f"{name} holds a secret in its command: give it by env and valueFrom.secretKeyRef"
    yield from _of_variables(name, container)


def _of_variables(name: str, container: dict[str, Any]) -> Iterator[str]:
    for variable in container.get("env") or []:
        key, value = str(variable.get("name")), str(variable.get("value") or "")
        if key == "RAY_AUTH_MODE" and value != "token":  # which KubeRay leaves as it is
            yield f"{name} sets RAY_AUTH_MODE to {value or 'nothing'}: leave it out, as authOptions sets it"
        elif key != "RAY_AUTH_MODE" and value and (SECRET_NAME.search(key) or redact(value) != value):
            yield f"{name} holds a secret in {key}: give it by valueFrom.secretKeyRef"
