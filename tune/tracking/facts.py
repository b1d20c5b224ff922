"""What a run should remember of its surroundings: code, packages, hardware, host, command."""

from __future__ import annotations

import getpass
import os
import platform
import shlex
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from cluster.machine import machine_cpus, machine_gpus
from tune.tracking.redact import without_secrets

_PACKAGES = ("dclf", "torch", "ray", "mlflow", "numpy", "pyarrow")
_GIT_TIMEOUT_S = 10


def surroundings() -> dict[str, str]:
    """Tags of a run; those that cannot be found out are left out."""
    return {**_git(), **_versions(), **_hardware(), **_who()}


def _git() -> dict[str, str]:
    """The commit of this package's checkout; nothing when it is installed without one."""
    commit, dirty = git_state(Path(__file__).parent)
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(dirty).lower()} if commit else {}


def git_state(folder: Path) -> tuple[str, bool]:
    """Return the commit of a folder's checkout, empty where there is none, and whether files differ from it."""
    commit = _git_output(folder, "rev-parse", "HEAD")
    return commit, bool(commit and _git_output(folder, "status", "--porcelain", "--untracked-files=no"))


def _git_output(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def _versions() -> dict[str, str]:
    return {"version.python": platform.python_version()} | {
        f"version.{name}": metadata.version(name) for name in _PACKAGES
    }


def _hardware() -> dict[str, str]:
    facts = {
        "hardware.cpu": _cpu_model(),
        "hardware.cores": str(machine_cpus()),
        "hardware.memory_gib": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f}",
        "hardware.gpus": _gpus(),
    }
    return {name: value for name, value in facts.items() if value}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpus() -> str:
    if not machine_gpus():
        return "none"
    import torch  # noqa: PLC0415 - a second and a half, for those who have a GPU

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(names)


def _who() -> dict[str, str]:
    return {
        "mlflow.user": user_name(),
        "mlflow.source.name": Path(sys.argv[0]).name,
        "mlflow.source.type": "LOCAL",
        "host": socket.gethostname(),
        "command": without_secrets(shlex.join(sys.argv)),
    }


def user_name() -> str:
    """Return the name of this process's user, or the number of one without a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        return str(os.getuid())
