"""What this machine has, told without Ray."""

from __future__ import annotations

import os


def machine_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_gpus() -> int:
    """GPUs that this process may use."""
    import torch  # noqa: PLC0415 - a second that only those pay who ask for GPUs

    return torch.cuda.device_count()
