"""The environment of a local cluster for a shell, without a secret on the screen."""

from __future__ import annotations

import shlex

from cluster.local.state import PASSWORD, TOKEN, LocalCluster

_FILES = {"RAY_AUTH_TOKEN": TOKEN, "MLFLOW_TRACKING_PASSWORD": PASSWORD}


def shell_lines(cluster: LocalCluster) -> list[str]:
    """Commands for a POSIX shell that set ``environment()`` and RAY_ADDRESS; secrets are read from their files."""
    values = {**cluster.environment(), "RAY_ADDRESS": cluster.ray_address}
    return [f"export {key}={_word(cluster, key, value)}" for key, value in sorted(values.items())]


def _word(cluster: LocalCluster, key: str, value: str) -> str:
    if key in _FILES:
        return f'"$(cat {shlex.quote(str(cluster.folder / _FILES[key]))})"'
    return shlex.quote(value)
