"""Each kind of manifest against what would read it: a schema, Ray's validator, a linter; "" where it fits."""

import copy
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from cluster.manifests import FILES, manifest
from tests.cluster.manifests.kuberay_schema import SCHEMAS

KUBERNETES = "1.37"


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def pod_templates(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a RayCluster or RayJob: its head's and its workers' pod templates."""
    spec = document["spec"].get("rayClusterSpec", document["spec"])
    return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def kubernetes_refusal(text: str) -> str:
    try:
        for document in documents(text):
            if document["kind"] in SCHEMAS:
                jsonschema.validate(document, SCHEMAS[document["kind"]])
                for template in pod_templates(document):
                    wrapped = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
                    kubernetes_validate.validate(wrapped, KUBERNETES, strict=True)
            else:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return str(error)
    return ""


def ray_up_refusal(text: str) -> str:
    """As ``ray up`` itself looks at the file before it asks the cloud for anything."""
    try:
        validate_config(prepare_config(copy.deepcopy(yaml.safe_load(text))))
    except (jsonschema.ValidationError, ValueError, AssertionError) as error:
        return str(error)
    return ""


def compose_refusal(text: str) -> str:
    schema = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8")
    try:
        jsonschema.validate(yaml.safe_load(text), json.loads(schema))
    except jsonschema.ValidationError as error:
        return str(error)
    return ""


def shell_refusal(text: str) -> str:
    return _linted(["shellcheck", "--shell=bash", "-"], text) or _linted(["bash", "-n"], text)


def docker_refusal(text: str) -> str:
    return _linted(["hadolint", "-"], text)


def _linted(words: list[str], text: str) -> str:
    ours = Path(sys.executable).with_name(words[0])
    command = [str(ours) if ours.exists() else words[0], *words[1:]]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


REFUSAL = {
    "kuberay": kubernetes_refusal,
    "rayjob": kubernetes_refusal,
    "mlflow": kubernetes_refusal,
    "aws": ray_up_refusal,
    "gcp": ray_up_refusal,
    "slurm": shell_refusal,
    "docker": docker_refusal,
    "compose": compose_refusal,
}

TEXTS = {name: manifest(name) for name in FILES}
