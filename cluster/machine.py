"""What this machine has, told without Ray."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""One of these is there on Linux where a driver of NVIDIA or AMD cards is loaded, or Windows lends its cards."""


def machine_cpus() -> int:
    """CPUs that this process may use: those of its affinity and of its container's quota, whichever are fewer."""
    from joblib import cpu_count  # noqa: PLC0415 - a tenth of a second that a help need not wait

    return int(cpu_count())


def machine_gpus() -> int:
    """GPUs that this process may use."""
    if sys.platform == "linux" and not any(Path(driver).exists() for driver in _DRIVERS):
        return 0
    import torch  # noqa: PLC0415 - more than a second, which only those pay who may have a GPU

    return torch.cuda.device_count()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute on so many threads of this process inside the ``with``, and on as many as before after it."""
    import torch  # noqa: PLC0415 - slow to import

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
