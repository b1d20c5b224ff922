"""How fast this machine multiplies matrices at this moment: the yardstick every bar is scaled by."""

from __future__ import annotations

import time

import torch

REFERENCE_GFLOPS = 90.0
"""The rate at which the bars are stated."""


def matmul_rate(repeats: int = 10, size: int = 1024) -> float:
    """GFLOP/s of a float32 product of two ``size`` x ``size`` matrices: the best of ``repeats``."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{matmul_rate():.1f} GFLOP/s, one thread, {1024} cubed, float32")
