"""Packages for nodes that lack them: Ray installs them for one job alone, and the client sends dclf itself along."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cluster.jobs.endpoint import JobError, JobUsageError

PACKAGES = ("dclf", "cluster", "tune")
"""What the project consists of; it goes along as source, as no index has it."""
LIMIT_S = 1800
"""How long a node may take to install; Ray's own ten minutes are short for torch and its CUDA libraries."""
FOLDER = "${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}"
"""The job's folder on a node, as Ray tells it to pip."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Installation:
    """What a job brings along.

    Attributes:
        requirements: the project's, one line each.
        constraints: text of the constraints file.
        sources: folders of the project's packages.
    """

    requirements: tuple[str, ...]
    constraints: str
    sources: tuple[Path, ...]

    @property
    def file(self) -> str:
        """Name of the constraints in the job's folder; other constraints have another, and Ray installs them anew."""
        return f".dclf-constraints-{hashlib.sha256(self.constraints.encode()).hexdigest()[:12]}.txt"

    def runtime_environment(self) -> dict[str, Any]:
        """What Ray is asked for: the packages in an environment of the job's own, and the project's sources."""
        packages = [f"-c {FOLDER}/{self.file}", *self.requirements]
        return {
            "pip": {"packages": packages, "pip_check": False},
            "py_modules": [str(source) for source in self.sources],
            "config": {"setup_timeout_seconds": LIMIT_S},
        }


def installation(constraints: Path) -> Installation:
    """What this environment's dclf needs, as a constraints file pins it.

    Args:
        constraints: with a line ``NAME==VERSION`` for every package that dclf names, such as the project's own.

    Raises:
        JobError: the file is absent, or leaves one of them open.
    """
    requirements = own_requirements(requires("dclf") or ())
    try:
        text = constraints.read_text(encoding="utf-8")
    except OSError as error:
        raise JobUsageError(
            f"--install: must name the constraints file of the project, cannot read {constraints} ({error.strerror}); "
            "the file constraints.txt lies beside pyproject.toml"
        ) from error
    if unpinned := sorted({_normal(line) for line in requirements} - _pinned(text).keys()):
        raise JobUsageError(
            f"--install: {constraints} must pin every package that dclf needs, as NAME==VERSION, has no "
            f"{', '.join(unpinned)}; an open torch brings gigabytes of CUDA libraries"
        )
    return Installation(requirements, text, tuple(_source(name) for name in PACKAGES))


def own_requirements(lines: Iterable[str]) -> tuple[str, ...]:
    """Return a distribution's requirements without those of its extras, as for developers and databases."""
    return tuple(line for line in lines if "extra ==" not in line)


def _pinned(text: str) -> Mapping[str, str]:
    pins = (line.partition("#")[0].strip().partition("==") for line in text.splitlines())
    return {_normal(name): version for name, separator, version in pins if separator}


def _normal(requirement: str) -> str:
    """Return the name of a requirement, normalised for comparison."""
    match = _NAME.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else requirement


def _source(name: str) -> Path:
    spec = find_spec(name)
    places: Sequence[str] = (spec.submodule_search_locations if spec is not None else None) or ()
    if len(places) != 1:
        raise JobError(f"--install: the package {name} must lie in one folder to be sent along, lies in {len(places)}")
    return Path(places[0])
