"""What DCLF adds to an epoch of its base model, through the real training loop, one thread.

    python benchmarks/framework.py [--repeats 3] [--models mmgcn ddin]

The generator's IEMOCAP preset (100 training dialogues, about 5,000 utterances, real widths), the paper's settings,
batches of 16. An epoch is everything the loop does over the training split: shuffling, collating, standardising,
negatives, all loss terms, backward, Adam, refreshing the bank. Base and DCLF epochs alternate, so that both meet the
same machine; each time is the best of the repeats, in processor seconds, to which other work adds less. ``--dialogues``
generates fewer of them, for models whose epoch takes a minute.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from matmul_rate import matmul_rate

from dclf.config import Config, DataConfig, ModelConfig, TrainConfig
from dclf.data import generate, read_shards, write_shards
from dclf.data.reader import ShardSet
from dclf.models import BASE_MODELS
from dclf.training.local import LocalSource
from dclf.training.loop import TrainingRun

MODELS = (("mmgcn", False), *((model, True) for model in BASE_MODELS.shipped))


def prepared(config: Config, shards: ShardSet) -> TrainingRun:
    run = TrainingRun(config, LocalSource(shards, config.data.modalities), shards)
    run.prepare()
    return run


def timed(run: TrainingRun, epoch: int) -> float:
    started = time.process_time()
    run.train_epoch(epoch)
    return time.process_time() - started


def measure(shards: ShardSet, model: str, causal: bool, repeats: int) -> tuple[float, float, float]:
    """Best seconds of base and of DCLF, and the best matrix rate seen beside them."""
    config = Config(
        data=DataConfig(shards=str(shards.path)),
        model=ModelConfig(name=model, causal=causal),
        train=TrainConfig(device="cpu"),
    )
    base = prepared(replace(config, loss=replace(config.loss, ablate="base")), shards)
    dclf = prepared(config, shards)
    times: list[tuple[float, float]] = []
    rates = [matmul_rate()]
    for epoch in range(1, repeats + 2):
        times.append((timed(base, epoch), timed(dclf, epoch)))
        rates.append(matmul_rate())
    settled = times[1:]
    return min(b for b, _ in settled), min(d for _, d in settled), max(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=BASE_MODELS.shipped)
    parser.add_argument("--dialogues", type=int, help="how many, all splits together; the preset's number if left out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | direction | base, s | DCLF, s | added | bar | GFLOP/s |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        info, dialogues = generate("iemocap", arguments.dialogues)
        write_shards(dialogues, Path(folder) / "shards", info)
        shards = read_shards(Path(folder) / "shards")
        for model, causal in [case for case in MODELS if case[0] in arguments.models]:
            base, dclf, rate = measure(shards, model, causal, arguments.repeats)
            direction = "causal" if causal else "bidirectional"
            added = 100 * (dclf / base - 1)
            print(
                f"| {model} | {direction} | {base:.2f} | {dclf:.2f} | {added:.0f} % | 60 % | {rate:.0f} |", flush=True
            )
    print(f"peak resident memory, both models of each row in one process: {peak_mib():.0f} MiB")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
