"""Files of clusters that ship pass Ray's check and ours, and none of what opens a cluster to others passes."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from scorefleet.pipelines.lint import findings_of, lint, of_ray

REPOSITORY = Path(__file__).parents[2]
SHIPPED = ("cluster.yaml", "deploy/ray/aws.yaml", "deploy/ray/gcp.yaml")


def shipped(name: str) -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / name).read_text())


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_has_nothing_to_object_to(name, capsys):
    assert lint([str(REPOSITORY / name)]) == 0
    assert "nothing to object to" in capsys.readouterr().out


def replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: replaced(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, old, new) for one in value]
    return value.replace(old, new) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", ["all addresses", "--dashboard-host=127.0.0.1"]),
        ("--dashboard-host=127.0.0.1", "", ["--dashboard-host=127.0.0.1"]),
        ("--dashboard-host=127.0.0.1", "--dashboard-host=::", ["all addresses", "--dashboard-host=127.0.0.1"]),
        ("export RAY_AUTH_MODE=token && ", "", ["without RAY_AUTH_MODE", "without RAY_AUTH_MODE"]),
        ("RAY_AUTH_MODE=token", "RAY_AUTH_MODE=token RAY_AUTH_TOKEN=abc", ["a secret", "a secret"]),
        ("export RAY_AUTH_MODE=token && ", "RAY_AUTH_MODE=token true && ", ["without", "without"]),
    ],
)
@pytest.mark.parametrize("name", SHIPPED)
def test_commands_that_open_a_cluster_are_found(name, old, new, expected):
    found = list(findings_of(replaced(shipped(name), old, new)))
    assert len(found) == len(expected), found
    for words in expected:
        assert any(words in finding for finding in found)


@pytest.mark.parametrize("key", ["head_start_ray_commands", "worker_start_ray_commands", "file_mounts"])
@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_left_to_rays_defaults_is_found(name, key):
    config = shipped(name)
    del config[key]
    assert [key in finding for finding in findings_of(config)] == [True]


def test_ssh_from_everywhere_is_found():
    aws, gcp = shipped("deploy/ray/aws.yaml"), shipped("deploy/ray/gcp.yaml")
    del aws["available_node_types"]["head"]["node_config"]["SecurityGroupIds"]
    gcp["available_node_types"]["head"] = copy.deepcopy(gcp["available_node_types"]["head"])
    del gcp["available_node_types"]["head"]["node_config"]["networkInterfaces"]
    for config in (aws, gcp):
        (finding,) = findings_of(config)
        assert finding.startswith("head has no ")
    aws = shipped("deploy/ray/aws.yaml")
    for cidr in ("0.0.0.0/0", "::/0"):
        rule = {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": cidr}]}
        aws["provider"]["security_group"] = {"GroupName": "x", "IpPermissions": [rule]}
        (finding,) = findings_of(aws)
        assert "IpPermissions[0].IpRanges[0].CidrIp names all addresses" in finding


def test_addresses_that_only_look_like_all_of_them_pass():
    config = shipped("cluster.yaml")
    config["provider"] |= {"head_ip": "10.0.0.0", "worker_ips": ["100.0.0.0", "fe80::1"]}
    assert list(findings_of(config)) == []


def test_numbers_of_workers_that_cannot_be_are_found():
    config = shipped("deploy/ray/aws.yaml")
    config["available_node_types"]["gpu_spot"] |= {"min_workers": 4, "max_workers": 3}
    assert of_ray(config) == []
    assert list(findings_of(config)) == ["gpu_spot.min_workers is 4, above its max_workers 3"]


def test_what_ray_refuses_or_nobody_can_read_is_one_line(tmp_path, capsys):
    config = shipped("cluster.yaml")
    config["max_worker"] = 3
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(config))
    assert lint([str(tmp_path / "cluster.yaml")]) == 2
    assert "Ray refuses it" in capsys.readouterr().out


@pytest.mark.parametrize(
    "start",
    [
        "RAY_AUTH_MODE=token ray stop; ray start --head --dashboard-host=127.0.0.1",
        "export RAY_AUTH_MODE=token && RAY_AUTH_MODE=disabled ray start --head --dashboard-host=127.0.0.1",
        "export RAY_AUTH_MODE=token && ray start --head --dashboard-host=127.0.0.1 --dashboard-host=10.0.0.10",
    ],
)
def test_a_start_that_only_looks_authenticated_or_on_loopback_is_found(start):
    config = shipped("cluster.yaml")
    config["head_start_ray_commands"] = [start]
    assert len(list(findings_of(config))) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"available_node_types": []},
        {"available_node_types": {"head": None}},
        {"head_start_ray_commands": [{"ray start": "x"}]},
    ],
)
def test_a_file_of_another_form_is_a_line_and_no_traceback(tmp_path, capsys, broken):
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(shipped("deploy/ray/aws.yaml") | broken))
    assert lint([str(tmp_path / "cluster.yaml")]) == 2
    assert capsys.readouterr().out.count("\n") >= 1
