"""The fields of KubeRay's RayJob and RayCluster, from its API reference (docs/reference/api.md of ray-project/kuberay,
and `authOptions` of v1.5.1): whatever else a file has, Kubernetes would drop without a word.
"""

import jsonschema
import kubernetes_validate

STRING, BOOLEAN, INTEGER, OBJECT = ({"type": kind} for kind in ("string", "boolean", "integer", "object"))
STRINGS = {"type": "object", "additionalProperties": STRING}
KUBERNETES = "1.31"


def _fields(required: tuple[str, ...] = (), **fields: object) -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": fields}


AUTOSCALER = ("env", "envFrom", "resources", "securityContext", "volumeMounts")
"""What the autoscaler's options share with containers of Kubernetes, against which it is checked."""

GROUP = {"rayStartParams": STRINGS, "template": OBJECT, "resources": STRINGS, "labels": STRINGS}
CLUSTER = _fields(
    ("headGroupSpec",),
    authOptions=_fields(mode={"enum": ["disabled", "token"]}, secretName=STRING, enableK8sTokenAuth=BOOLEAN),
    autoscalerOptions=_fields(
        **dict.fromkeys(AUTOSCALER, True),
        idleTimeoutSeconds=INTEGER,
        image=STRING,
        imagePullPolicy=STRING,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    ),
    enableInTreeAutoscaling=BOOLEAN,
    gcsFaultToleranceOptions=OBJECT,
    headServiceAnnotations=STRINGS,
    managedBy=STRING,
    rayVersion=STRING,
    suspend=BOOLEAN,
    headGroupSpec=_fields(
        ("template",),
        **GROUP,
        enableIngress=BOOLEAN,
        headService=OBJECT,
        serviceType={"enum": ["ClusterIP", "NodePort"]},
    ),
    workerGroupSpecs={
        "type": "array",
        "items": _fields(
            ("groupName", "template"),
            **GROUP,
            groupName=STRING,
            idleTimeoutSeconds=INTEGER,
            maxReplicas=INTEGER,
            minReplicas=INTEGER,
            numOfHosts=INTEGER,
            replicas=INTEGER,
            scaleStrategy=OBJECT,
            suspend=BOOLEAN,
        ),
    },
)
JOB = _fields(
    activeDeadlineSeconds=INTEGER,
    backoffLimit=INTEGER,
    clusterSelector=STRINGS,
    deletionStrategy=OBJECT,
    entrypoint=STRING,
    entrypointNumCpus={"type": "number"},
    entrypointNumGpus={"type": "number"},
    entrypointResources=STRING,
    jobId=STRING,
    managedBy=STRING,
    metadata=OBJECT,
    rayClusterSpec=CLUSTER,
    runtimeEnvYAML=STRING,
    shutdownAfterJobFinishes=BOOLEAN,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    submitterConfig=_fields(backoffLimit=INTEGER),
    submitterPodTemplate=OBJECT,
    suspend=BOOLEAN,
    ttlSecondsAfterFinished=INTEGER,
)


def require_rayjob(document: dict) -> None:
    """Raise unless KubeRay knows every field of a RayJob, and Kubernetes every field of its pods."""
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayJob")
    spec = document["spec"]
    jsonschema.validate(spec, JOB)
    cluster = spec["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    options = cluster.get("autoscalerOptions", {})
    beside = {"name": "autoscaler", **{key: options[key] for key in AUTOSCALER if key in options}}
    pods = [template["spec"] for template in (spec["submitterPodTemplate"], *(group["template"] for group in groups))]
    for pod in (*pods, {"containers": [beside]}):
        require({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod})


def require(document: dict) -> None:
    """Raise unless Kubernetes knows every field of one of its own kinds."""
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
