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
"""Name -> file: KubeRay's RayCluster, its RayJob, the MLflow server beside both, `ray up` on two clouds, an sbatch
script, the image, and head, workers, MLflow and PostgreSQL in containers."""


def manifest(name: str) -> str:
    """The text of a manifest, comments included; ValueError lists the names there are."""
    if name not in FILES:
        raise ValueError(f"unknown manifest {name!r}: choose one of {', '.join(FILES)}")
    return files(__name__).joinpath(FILES[name]).read_text(encoding="utf-8")
