"""Every manifest fits what will read it, and the checks would notice if one did not."""

import pytest

from cluster.manifests import FILES
from tests.cluster.manifests.checks import REFUSAL, TEXTS


def test_every_manifest_is_checked() -> None:
    assert set(REFUSAL) == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_manifest_fits_what_will_read_it(name: str) -> None:
    assert REFUSAL[name](TEXTS[name]) == ""


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("kuberay", "mode: token", "mode: tokens"),
        ("kuberay", "rayVersion:", "version:"),
        ("kuberay", "rayStartParams: {}", "rayStartParams: {num-cpus: 4}"),
        ("kuberay", "mountPath:", "mountPaths:"),
        ("kuberay", "groupName: gpu", "groupNames: gpu"),
        ("rayjob", "submissionMode: HTTPMode", "submissionMode: http"),
        ("rayjob", "runAsUser: 1000", 'runAsUser: "1000"'),
        ("rayjob", "entrypoint:", "command:"),
        ("mlflow", "accessModes: [ReadWriteMany]", "accessMode: ReadWriteMany"),
        ("mlflow", "httpGet:", "http:"),
        ("aws", "max_workers: 8", "max_worker: 8"),
        ("aws", "head_node_type: head", "head_node_type: driver"),
        ("aws", "container_name: dclf", ""),
        ("gcp", "idle_timeout_minutes: 10", "idle_timeout_minutes: soon"),
        ("gcp", "min_workers: 0", "min_workers: 20"),
        ("slurm", "done\n", "\n"),
        ("slurm", '"$storage/studies" --log', "$storage/studies --log"),
        ("docker", "USER 1000:1000", "USER"),
        ("docker", "FROM python:3.11-slim-bookworm", "FROM python"),
        ("compose", "mem_limit: 8gb", "memory: 8gb"),
        ("compose", "networks: [database]", "networks: 7"),
    ],
)
def test_a_broken_manifest_is_noticed(name: str, right: str, wrong: str) -> None:
    assert right in TEXTS[name]
    assert REFUSAL[name](TEXTS[name].replace(right, wrong))
