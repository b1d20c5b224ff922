"""Files that start a cluster elsewhere: on Kubernetes, AWS, Google Cloud, Slurm or in containers.

They are plain files to be copied and changed; the comments at their tops say what, and how secrets reach them. All of
them ask for Ray's token, reach MLflow with a password, and run as an ordinary user.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

FILES: Mapping[str, str] = {
    "kuberay": "kuberay.yaml",
    "rayjob": "rayjob.yaml",
    "mlflow": "mlflow.yaml",
    "aws": "aws.yaml",
    "gcp": "gcp.yaml",
    "slurm": "slurm.sh",
    "docker": "Dockerfile",
    "compose": "compose.yaml",
}
"""Name -> file."""
SUMMARIES: Mapping[str, str] = {
    "kuberay": "a RayCluster for KubeRay, with GPU workers",
    "rayjob": "a RayJob for KubeRay: a cluster for the length of one study",
    "mlflow": "the MLflow server beside both, on PostgreSQL",
    "aws": "`ray up` on AWS, with GPU workers",
    "gcp": "`ray up` on Google Cloud, with GPU workers",
    "slurm": "an sbatch script that runs or resumes one study",
    "docker": "the image of every node and of the MLflow server",
    "compose": "head, workers, MLflow and PostgreSQL in containers on one machine",
}
"""Name -> what it is."""


def manifest(name: str) -> str:
    """The text of a manifest, comments included; ValueError lists the names there are."""
    if name not in FILES:
        raise ValueError(f"unknown manifest {name!r}: choose one of {', '.join(FILES)}")
    return files(__name__).joinpath(FILES[name]).read_text(encoding="utf-8")
