"""`scorefleet lint FILE`: what Ray's own check lets pass in the file of a cluster, and would open it to others."""

import copy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scorefleet.pipelines import cluster_file, lint_kubernetes
from scorefleet.pipelines.one_line_parser import OneLineParser
from scorefleet.tasks.console import output
from scorefleet.tasks.errors import UsageError

EVERYWHERE = re.compile(r"(?<![\d.])0\.0\.0\.0(?![\d.])|(?<![\w:])::(?:/0)?(?![\w:])")
SECRET = re.compile(r"RAY_AUTH_TOKEN=\S+|\b(?:AKIA|ASIA)[0-9A-Z]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY-----")
DASHBOARD = re.compile(r"--dashboard-host[= ]\s*(\S+)")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
AUTHENTICATED = re.compile(
    r"\bexport RAY_AUTH_MODE=token\b.*\bray start\b|\bRAY_AUTH_MODE=token ray start\b", re.DOTALL
)
MODE = re.compile(r"\bRAY_AUTH_MODE=([^\s;&|]*)")
TOKEN_FILE = "~/.ray/auth_token"


def lint(arguments: Sequence[str]) -> int:
    """`scorefleet lint`."""
    parser = OneLineParser("lint", "Say what is wrong with the file of a cluster, before it is used.")
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="The file for `ray up`, or a RayJob or RayCluster of KubeRay."
    )
    file: Path = parser.parse_args(arguments).file
    config = cluster_file.read(file)
    if config.get("kind") in lint_kubernetes.KINDS:
        findings = [*lint_kubernetes.findings_of(config)]
    else:
        findings = of_ray(config) or [*findings_of(config)]
    for finding in findings:
        output(f"{file}: {finding}")
    if not findings:
        output(f"{file}: nothing to object to")
    return UsageError.exit_code if findings else 0


def findings_of(config: dict[str, Any]) -> Iterator[str]:
    """Everything that is not as it must be, each in one line that says what to do."""
    for place, text in _texts(config, ""):
        if EVERYWHERE.search(text):
            yield f"{place} names all addresses ({text[:80]}): name those that are meant"
        if SECRET.search(text):
            yield f"{place} holds a secret: have the machines read it from a file of mode 600"
    yield from _authentication(config)
    yield from _ssh(config)
    yield from _sizes(config)


def of_ray(config: dict[str, Any]) -> list[str]:
    """What Ray's schema refuses."""
    from ray.autoscaler._private.util import prepare_config, validate_config  # a second, only for this

    try:
        validate_config(prepare_config(copy.deepcopy(config)))
    except Exception as error:  # Ray has no class of its own for this
        return [f"Ray refuses it: {' '.join(str(error).split())[:200]}"]
    return []


def _authentication(config: dict[str, Any]) -> Iterator[str]:
    """Every `ray start` asks for the token, which every machine has; the dashboard is on loopback."""
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        starts = [command for command in config.get(key) or [] if re.search(r"\bray start\b", str(command))]
        if not starts:
            yield f"{key} is missing: Ray's default asks for no token; give `RAY_AUTH_MODE=token ray start ...`"
        for command in starts:
            if not AUTHENTICATED.search(command) or set(MODE.findall(command)) != {"token"}:
                yield f"{key} starts Ray without RAY_AUTH_MODE=token: whoever reaches its ports runs code"
            if "--head" in command and not set(DASHBOARD.findall(command) or ["Ray's default"]) <= LOOPBACK:
                yield f"{key} must have --dashboard-host=127.0.0.1: reach it by ssh -L"
    if TOKEN_FILE not in (config.get("file_mounts") or {}):
        yield f"file_mounts must give machines the token: {TOKEN_FILE}: {TOKEN_FILE}"


def _ssh(config: dict[str, Any]) -> Iterator[str]:
    """Without a group or network of one's own, AWS's by Ray and GCP's own admit ssh from everywhere."""
    kind = (config.get("provider") or {}).get("type")
    for name, node in (config.get("available_node_types") or {}).items():
        made = node.get("node_config") or {}
        if kind == "aws" and not made.get("SecurityGroupIds"):
            yield f"{name} has no SecurityGroupIds: Ray would make a group that admits ssh from 0.0.0.0/0"
        if kind == "gcp" and not all(one.get("subnetwork") for one in made.get("networkInterfaces") or [{}]):
            yield f"{name} has no subnetwork in networkInterfaces: the network `default` admits ssh from 0.0.0.0/0"


def _sizes(config: dict[str, Any]) -> Iterator[str]:
    """What Ray's check does not see."""
    most = config.get("max_workers")
    for name, node in (config.get("available_node_types") or {}).items():
        least, own = node.get("min_workers", 0), node.get("max_workers", most)
        if own is not None and least > own:
            yield f"{name}.min_workers is {least}, above its max_workers {own}"


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every string below a value, keys too, with where it is."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield place or "the file", str(key)
            yield from _texts(one, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _texts(one, f"{place}[{number}]")
    elif isinstance(value, str):
        yield place, value
