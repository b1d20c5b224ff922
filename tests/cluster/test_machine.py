"""What this machine has, and that telling it costs no import of torch where there is no driver."""

import os
import subprocess
import sys

import pytest
import torch

from cluster import machine

CODE = "import sys; from cluster.machine import machine_gpus; print(machine_gpus(), 'torch' in sys.modules)"


def test_cpus_are_as_few_as_the_narrowest_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    # joblib's own limit, which it takes the minimum of with affinity and quota: a quota needs a container.
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert machine.machine_cpus() == 1
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "4096")
    assert 1 <= machine.machine_cpus() <= len(os.sched_getaffinity(0))


def test_gpus_are_those_that_torch_sees() -> None:
    assert machine.machine_gpus() == torch.cuda.device_count()


def test_a_driver_sends_the_question_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DRIVERS", (os.devnull,))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert machine.machine_gpus() == 3


def test_without_a_driver_torch_stays_away() -> None:
    if torch.cuda.device_count():
        # There it is torch that tells.
        return
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]
