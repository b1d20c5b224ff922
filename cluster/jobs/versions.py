"""Versions that must be the same here and on the cluster, or a job would not mean there what was checked here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version

from cluster.jobs.endpoint import Endpoint, JobError
from dclf import __version__

BRING = "where only dclf differs, --install constraints.txt lets the job bring its own"
METADATA = "/api/v0/cluster_metadata"


def own_versions() -> dict[str, str]:
    """Return the versions of dclf, ray and python in this process."""
    return {"dclf": __version__, "ray": version("ray"), "python": sys.version.split()[0]}


def mismatches(theirs: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[str]:
    """What differs, a phrase each; of Python only the first two numbers count, what is not known counts as equal."""
    for name in ours.keys() & theirs.keys():
        if _comparable(name, ours[name]) != _comparable(name, theirs[name]):
            yield f"{name} {theirs[name]} (here {ours[name]})"


def require_same_versions(endpoint: Endpoint, *, installs: bool = False) -> None:
    """Ask the cluster, before anything is sent to it.

    Args:
        endpoint: of the cluster.
        installs: whether the job brings dclf and what it needs; Ray and Python are the cluster's all the same.

    Raises:
        JobError: it does not answer, or runs other versions.
    """
    metadata = endpoint.get(METADATA)["data"]
    theirs = {**endpoint.versions, "ray": metadata["rayVersion"], "python": metadata["pythonVersion"]}
    if installs:
        theirs.pop("dclf", None)
    if differing := sorted(mismatches(theirs, own_versions())):
        raise JobError(
            f"{endpoint.url}: the cluster must run the versions of this client, but has {', '.join(differing)}; "
            f"submit from an environment with the cluster's versions, or rebuild the cluster with these; {BRING}"
        )


def _comparable(name: str, text: str) -> str:
    return ".".join(text.split(".")[:2]) if name == "python" else text
