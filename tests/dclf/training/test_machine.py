import mmap

import psutil
import pytest
import torch

from dclf.training.machine import MachineUse

MB = 1e6


def busy(seconds: float) -> None:
    """Work until this process has used so much processor time."""
    used = psutil.Process().cpu_times().user
    while psutil.Process().cpu_times().user - used < seconds:
        sum(range(10_000))


def test_the_use_is_that_of_this_machine_and_process() -> None:
    use = MachineUse(torch.device("cpu"))
    busy(0.5)
    values = use.look()
    one_processor = 100 / psutil.cpu_count()
    assert 0.5 * one_processor < values["cpu_utilization_percentage"] <= 100
    total = psutil.virtual_memory().total / MB
    assert 0 < values["process_memory_usage_megabytes"] < values["system_memory_usage_megabytes"] < total
    assert 0 < values["system_memory_usage_percentage"] < 100
    assert not any(name.startswith("gpu") for name in values)


def test_what_the_process_takes_up_shows() -> None:
    use = MachineUse(torch.device("cpu"))
    before = use.look()["process_memory_usage_megabytes"]
    # From the system itself: an allocator may hand out again what an earlier test gave back.
    with mmap.mmap(-1, 64 * 1024 * 1024) as block:
        block[:: mmap.PAGESIZE] = bytes(len(block) // mmap.PAGESIZE)
        growth = use.look()["process_memory_usage_megabytes"] - before
        assert growth == pytest.approx(len(block) / MB, rel=0.25)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the machine has no GPU")
def test_a_gpu_tells_of_its_memory() -> None:
    use = MachineUse(torch.device("cuda"))
    before = use.look()
    block = torch.ones(256 * 1024 * 1024, dtype=torch.uint8, device="cuda")
    name = f"gpu_{torch.cuda.current_device()}_memory_usage_megabytes"
    assert use.look()[name] - before[name] >= 0.9 * block.nbytes / MB
