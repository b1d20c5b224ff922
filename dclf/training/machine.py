"""What a training uses of its machine, looked at once an epoch."""

from __future__ import annotations

from contextlib import suppress

import psutil
import torch

_MB = 1e6


class MachineUse:
    """Looks at the machine of this process, and at the GPU that it trains on.

    Args:
        device: the model's.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # psutil counts the processor's time from one call to the next.
        psutil.cpu_percent()

    def look(self) -> dict[str, float]:
        """Return the processors' use since the last look, and the memory in use now, by MLflow's own names.

        ``cpu_utilization_percentage`` is the mean of the machine's processors, the memory (megabytes and percent) the
        machine's, ``process_memory_usage_megabytes`` this process's. A GPU has its memory and, where nvidia-ml-py is
        installed, its ``utilization_percentage`` of a moment before.
        """
        memory = psutil.virtual_memory()
        use = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / _MB,
            "system_memory_usage_percentage": memory.percent,
            "process_memory_usage_megabytes": psutil.Process().memory_info().rss / _MB,
        }
        return use | self._gpu() if self._device.type == "cuda" else use

    def _gpu(self) -> dict[str, float]:
        index = torch.cuda.current_device()
        free, total = torch.cuda.mem_get_info(index)
        use = {
            "memory_usage_megabytes": (total - free) / _MB,
            "memory_usage_percentage": 100 * (total - free) / total,
        }
        # NVML has errors of its own: a card that does not tell, a driver that is too old. No training ends for one.
        with suppress(Exception):
            use["utilization_percentage"] = float(torch.cuda.utilization(index))
        return {f"gpu_{index}_{name}": value for name, value in use.items()}
