"""What Ray Train costs beside the bare training loop, on a small run.

    python benchmarks/train_overhead.py [--epochs 10] [--workers 1 2]

Trains the same model on the same generated dialogues once in process and then on a local Ray: prints the seconds from
the call to the first finished epoch, between epochs beyond the epoch itself (saving and reporting), and in all.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.session import ray_session
from cluster.training import train_on_ray
from dclf.config import Config, DataConfig, LossConfig, TrainConfig
from dclf.data import read_shards, write_shards
from dclf.data.generator import generate
from dclf.training.local import LocalSource
from dclf.training.loop import train
from dclf.training.reports import EpochReport


@dataclass
class Clock:
    """When each epoch was heard of, from the start of the run."""

    started: float
    heard: list[tuple[float, EpochReport]]

    @classmethod
    def start(cls) -> Clock:
        return cls(time.perf_counter(), [])

    def epoch(self, report: EpochReport, _: object = None) -> None:
        self.heard.append((time.perf_counter() - self.started, report))

    def row(self, name: str) -> str:
        total = time.perf_counter() - self.started
        first, last = self.heard[0][0], self.heard[-1][0]
        inside = sum(report.seconds for _, report in self.heard[1:])
        count = len(self.heard) - 1
        return f"| {name} | {first:.1f} | {inside / count:.3f} | {(last - first - inside) / count:.3f} | {total:.1f} |"


def in_process(config: Config) -> str:
    clock = Clock.start()
    shards = read_shards(config.data.shards)
    train(config, LocalSource(shards, config.data.modalities), shards, reporter=clock)
    return clock.row("in process, no checkpoints")


def on_ray(config: Config, workers: int) -> str:
    clock = Clock.start()
    run = replace(config, train=replace(config.train, workers=workers))
    train_on_ray(run, run_name=f"workers-{workers}", on_epoch=clock.epoch)
    return clock.row(f"Ray Train, {workers} worker{'s' if workers > 1 else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dclf-overhead-") as folder:
        info, dialogues = generate("iemocap-small")
        write_shards(dialogues, Path(folder) / "shards", info)
        config = Config(
            data=DataConfig(shards=f"{folder}/shards"),
            loss=LossConfig(window=4),
            train=TrainConfig(epochs=arguments.epochs, storage=f"{folder}/store"),
        )
        print("| run | to the first epoch, s | an epoch, s | beside an epoch, s | in all, s |\n|---|---|---|---|---|")
        print(in_process(config))
        started = time.perf_counter()
        with ray_session():
            print(f"| starting a local Ray | | | | {time.perf_counter() - started:.1f} |")
            for workers in arguments.workers:
                print(on_ray(config, workers))
            started = time.perf_counter()
        print(f"| ending it | | | | {time.perf_counter() - started:.1f} |")


if __name__ == "__main__":
    main()
