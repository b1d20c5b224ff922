"""What holds for every manifest: versions in step, the token asked for, no secret within, no root, health, sizes."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.manifests import FILES, manifest
from tests.cluster.manifests.checks import TEXTS, documents, pod_templates

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = PROJECT["version"]
KUBERNETES = ("kuberay", "rayjob", "mlflow")
SECRET_WORDS = re.compile(r"(password|token|secret|key)$", re.IGNORECASE)


def lowest(package: str) -> str:
    """``2.60`` for ``ray[data]>=2.60,<3`` among the project's dependencies."""
    (match,) = [re.search(r">=([\d.]+)", line) for line in PROJECT["dependencies"] if is_of(line, package)]
    assert match is not None
    return match[1]


def is_of(line: str, package: str) -> bool:
    return re.match(rf"{package}\b(?!-)", line) is not None


def constrained(package: str) -> str:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (version,) = [line.partition("==")[2] for line in lines if line.startswith(f"{package}==")]
    return version


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document, at any depth."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(item)


def containers(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(pod, container) of a manifest for Kubernetes."""
    pods = [mapping for document in documents(TEXTS[name]) for mapping in mappings(document) if "containers" in mapping]
    return [(pod, container) for pod in pods for container in pod["containers"]]


def test_unknown_names_are_told_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"unknown manifest 'helm': choose one of kuberay, rayjob, .*compose"):
        manifest("helm")


def test_every_file_is_offered() -> None:
    folder = ROOT / "cluster" / "manifests"
    there = {path.name for path in folder.iterdir() if path.suffix not in {".py", ".pyc"} and path.is_file()}
    assert there == set(FILES.values())


@pytest.mark.parametrize("name", FILES)
def test_versions_are_the_projects(name: str) -> None:
    text = TEXTS[name]
    ours = re.findall(r"dclf:([\w.]+)", text) + re.findall(r"(?:app\.kubernetes\.io/version: |dclf )(\d[\w.]*\d)", text)
    assert ours
    assert set(ours) == {VERSION}


def test_rays_and_mlflows_versions_are_the_projects() -> None:
    for name in ("kuberay", "rayjob"):
        (document,) = [resource for resource in documents(TEXTS[name]) if resource["apiVersion"] == "ray.io/v1"]
        spec = document["spec"].get("rayClusterSpec", document["spec"])
        assert spec["rayVersion"] == constrained("ray")
        assert spec["rayVersion"].startswith(f"{lowest('ray')}.")
    assert re.findall(r"(?:ray|mlflow) \d+\.\d+", TEXTS["slurm"]) == [
        f"ray {lowest('ray')}",
        f"mlflow {lowest('mlflow')}",
    ]
    assert f'"mlflow[auth]=={lowest("mlflow")}.*"' in TEXTS["docker"]
    assert f"torch=={constrained('torch')}\n" in TEXTS["docker"]
    assert f'image.version="{VERSION}"' in TEXTS["docker"]


@pytest.mark.parametrize("name", ["kuberay", "rayjob"])
def test_kuberay_asks_for_the_token(name: str) -> None:
    (document,) = [resource for resource in documents(TEXTS[name]) if resource["apiVersion"] == "ray.io/v1"]
    assert document["spec"].get("rayClusterSpec", document["spec"])["authOptions"] == {"mode": "token"}
    assert len(pod_templates(document)) == 2


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_ray_up_asks_for_the_token_and_brings_it(name: str) -> None:
    config = yaml.safe_load(TEXTS[name])
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        (start,) = [command for command in commands if "ray start" in command]
        assert start.index("RAY_AUTH_MODE=token") < start.index("ray start")
        assert "MLFLOW_TRACKING_URI=https://" in start
    assert set(config["file_mounts"]) == {"~/.ray", "~/.mlflow"}
    assert "--dashboard-host=127.0.0.1" in TEXTS[name]


def test_slurm_and_the_image_ask_for_the_token() -> None:
    assert "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token" in TEXTS["slurm"]
    assert "RAY_AUTH_MODE=token" in TEXTS["docker"]


def test_compose_asks_for_the_token_on_every_node() -> None:
    services = yaml.safe_load(TEXTS["compose"])["services"]
    nodes = [service for service in services.values() if "ray start" in str(service.get("command"))]
    assert len(nodes) == 2
    for node in nodes:
        assert node["environment"]["RAY_AUTH_MODE"] == "token"
        assert node["environment"]["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_auth_token"


def test_mlflow_asks_for_a_password() -> None:
    (server,) = [container for _, container in containers("mlflow") if container["name"] == "mlflow"]
    assert server["command"][2:4] == ["--app-name", "basic-auth"]
    compose = yaml.safe_load(TEXTS["compose"])
    assert "--app-name basic-auth" in compose["services"]["mlflow"]["command"][-1]
    for settings in (documents(TEXTS["mlflow"])[1]["data"]["auth.ini"], compose["configs"]["mlflow_auth"]["content"]):
        assert "default_permission = NO_PERMISSIONS" in settings


@pytest.mark.parametrize("name", KUBERNETES)
def test_secrets_come_from_kubernetes(name: str) -> None:
    values = [entry for _, container in containers(name) for entry in container["env"]]
    secret = [entry for entry in values if SECRET_WORDS.search(entry["name"])]
    assert secret
    assert all(set(entry) == {"name", "valueFrom"} for entry in secret)


def test_composes_secrets_come_from_files() -> None:
    compose = yaml.safe_load(TEXTS["compose"])
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for service in compose["services"].values():
        secrets = [key for key in service["environment"] if SECRET_WORDS.search(key)]
        assert not secrets, secrets


@pytest.mark.parametrize("name", FILES)
def test_no_uri_holds_a_password(name: str) -> None:
    assert not re.search(r"://[^/\s:@]*:[^/\s@]+@", TEXTS[name])


@pytest.mark.parametrize("name", KUBERNETES)
def test_pods_are_no_root_are_sized_and_watched(name: str) -> None:
    assert containers(name)
    for pod, container in containers(name):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]) <= set(container["resources"]["limits"])
        assert {"livenessProbe", "readinessProbe"} <= set(container)


def test_composes_services_are_no_root_are_sized_and_watched() -> None:
    for service in yaml.safe_load(TEXTS["compose"])["services"].values():
        assert service["user"] == "${DCLF_UID:-1000}:${DCLF_GID:-1000}"
        assert {"cpus", "mem_limit", "mem_reservation", "healthcheck"} <= set(service)
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_image_is_no_root_and_watched() -> None:
    assert re.findall(r"^USER (.*)$", TEXTS["docker"], re.MULTILINE) == ["1000:1000"]
    assert "\nHEALTHCHECK " in TEXTS["docker"]


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_ray_ups_nodes_are_sized_and_watched(name: str) -> None:
    config = yaml.safe_load(TEXTS[name])
    types = config["available_node_types"]
    assert types["gpu"]["resources"]["GPU"] >= 1
    assert all("resources" in kind for kind in types.values())
    assert "ray health-check" in config["head_start_ray_commands"][-1]
    assert "local_raylet_healthz" in config["worker_start_ray_commands"][-1]


@pytest.mark.parametrize("name", FILES)
def test_comments_say_what_to_change(name: str) -> None:
    top = TEXTS[name].split("\n\n")[0] if name == "slurm" else TEXTS[name][:2500]
    assert "Change:" in top
