"""What keeping an epoch costs: our checkpoint against ``torch.save`` of the same state.

    python benchmarks/checkpoint.py [--repeats 20]

The state is that of a training of MMGCN with DCLF on the generator's small preset after one epoch; both write to the
same temporary folder, a whole file or none, and neither waits for the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from matmul_rate import matmul_rate

from dclf.config import Config, DataConfig, TrainConfig
from dclf.data import read_shards, write_shards
from dclf.data.generator import generate
from dclf.training.checkpoint import STATE_FILE, load, save
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="dclf-checkpoint-") as made:
        folder = Path(made)
        state = trained(folder / "shards").state()
        ours = milliseconds(lambda: save(folder / "ours", state), repeats)
        theirs = milliseconds(lambda: torch_save(folder / "theirs.pt", state), repeats)
        read = milliseconds(lambda: load(folder / "ours"), repeats)
        mib = (folder / "ours" / STATE_FILE).stat().st_size / 2**20
    print(f"1024-cubed product: {matmul_rate():.0f} GFLOP/s\n")
    print("| MiB | save, ms | torch.save, ms | ratio | load, ms |\n|---|---|---|---|---|")
    print(f"| {mib:.1f} | {ours:.1f} | {theirs:.1f} | {theirs / ours:.1f} | {read:.1f} |")


def trained(shards: Path) -> TrainingRun:
    info, dialogues = generate("iemocap-small")
    write_shards(dialogues, shards, info)
    config = Config(data=DataConfig(shards=str(shards)), train=TrainConfig(epochs=2))
    data = read_shards(shards)
    run = TrainingRun(config, LocalSource(data, config.data.modalities), data)
    run.prepare()
    run.epoch()
    return run


def torch_save(path: Path, state: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(path)


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median of several times, after two that are not counted."""
    times = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return median(times[2:])


if __name__ == "__main__":
    main()
