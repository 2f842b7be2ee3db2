"""What Kubernetes does at a tick of a CronJob: its controllers make a Job, and kubelet starts the container of its pod.

The container is a process here, with a root of its own to which it cannot write: what the pod mounts is where the pod
says, there is no kubectl on the PATH, and nothing of this environment.
"""

import base64
import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from tests.kubernetes_api import CORE, JOBS, Kubernetes, now

ROOT = """
set -e
root=$1; mounts=$2; user=$3; workdir=$4; shift 4
mount -t tmpfs tmpfs $root
for each in /*; do
    if [ -L $each ]; then cp -P $each $root
    elif [ -d $each ] && [ $each != /run ]; then mkdir $root$each; mount --bind -o ro $each $root$each; fi
done
for each in /dev /proc; do mount --rbind $each $root$each; done
while read -r from to; do
    to=$root$(chroot $root realpath -m $to)
    mkdir -p $to
    mount --bind $from $to
done < $mounts
mount -o remount,ro $root
exec chroot $root setpriv --reuid=$user --regid=$user --clear-groups --inh-caps=+dac_read_search \
    --ambient-caps=+dac_read_search env -i -C $workdir "$@"
"""
"""Run in a mount namespace of its own, which goes with it. The pod's user may read here what is not for all, such as an
interpreter in a home directory, and write nothing of it.
"""


def begin(api: Kubernetes, cronjob: Mapping[str, Any], minutes: int) -> dict[str, Any]:
    """The Job of the tick at so many minutes since 1970, whose name its pod has as a label."""
    name = f"{cronjob['metadata']['name']}-{minutes}"
    template = copy.deepcopy(cronjob["spec"]["jobTemplate"])
    template["spec"]["template"].setdefault("metadata", {})["labels"] = {"job-name": name}
    owner = {key: cronjob[key] for key in ("apiVersion", "kind")}
    owner |= {key: cronjob["metadata"][key] for key in ("name", "uid")}
    metadata = template["metadata"] | {"name": name, "ownerReferences": [owner]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
    code, made = api.create(JOBS, job)
    assert code == 201, made
    made["status"] = {"startTime": now(), "ready": 1}
    return made


def end(job: dict[str, Any], code: int) -> None:
    """What the Job controller writes when the pod has ended with an exit code that it does not try again."""
    message = f"Container submitter for pod scorefleet/x failed with exit code {code} matching FailJob rule at index 1"
    failed = {"type": "Failed", "reason": "PodFailurePolicy", "message": message}
    condition = failed if code else {"type": "Complete"}
    job["status"] |= {"ready": 0, "conditions": [condition | {"status": "True", "lastTransitionTime": now()}]}


def run(api: Kubernetes, job: Mapping[str, Any], folder: Path, token: str) -> "subprocess.CompletedProcess[str]":
    """A pod of the Job from its start to its end; `token` is its service account's."""
    shutil.rmtree(folder, ignore_errors=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: _volume(api, volume, folder, token) for volume in pod["volumes"]}
    mounts = [f"{volumes[one['name']]} {one['mountPath']}\n" for one in container["volumeMounts"]]
    (folder / "mounts").write_text("".join(mounts))
    (folder / "root").mkdir()
    variables = {one["name"]: _value(one, job) for one in container["env"]}
    service = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.port)}
    environment = service | variables | {"PATH": str(Path(sys.executable).parent), "HOME": "/"}
    words = [_expanded(word, variables) for word in (*container["command"], *container["args"])]
    user = str(pod["securityContext"]["runAsUser"])
    where = [str(folder / "root"), str(folder / "mounts"), user, container["workingDir"]]
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ROOT, "sh", *where]
    command += [*(f"{key}={value}" for key, value in environment.items()), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _volume(api: Kubernetes, volume: Mapping[str, Any], folder: Path, token: str) -> Path:
    place = folder / volume["name"]
    place.mkdir(parents=True)
    if "secret" in volume:
        secret = api.objects[f"{CORE}/secrets/{volume['secret']['secretName']}"]
        for name, content in secret["data"].items():
            (place / name).write_bytes(base64.b64decode(content))
    elif "projected" in volume:
        key, authority = volume["projected"]["sources"]
        (place / key["serviceAccountToken"]["path"]).write_text(token)
        assert authority["configMap"]["name"] == "kube-root-ca.crt"
        certificate = load_pem_x509_certificate((api.folder / "certificate.pem").read_bytes())
        (place / authority["configMap"]["items"][0]["path"]).write_bytes(certificate.public_bytes(Encoding.PEM))
    else:
        assert volume["emptyDir"] == {}
        place.chmod(0o777)
    return place


def _value(variable: Mapping[str, Any], job: Mapping[str, Any]) -> str:
    key = re.fullmatch(r"metadata\.labels\['(.+)'\]", variable["valueFrom"]["fieldRef"]["fieldPath"])
    assert key is not None
    return job["spec"]["template"]["metadata"]["labels"][key[1]]


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    """$(NAME) is what a variable says, where there is one of that name, and $$ a $."""
    return re.sub(r"\$(\$|\((\w+)\))", lambda found: variables.get(found[2], found[0]) if found[2] else "$", word)
