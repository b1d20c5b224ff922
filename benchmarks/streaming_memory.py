"""Memory of a process that streams a shard set larger than the memory it may use.

    python benchmarks/streaming_memory.py [--gib 2]

Writes shards of random features to a temporary folder, then, in one Ray worker, does what training does with them: a
first pass (feature statistics) and an epoch in shuffled batches, with the default cache and shuffle buffers. Prints
how far the worker's resident memory rose above what it was before the first byte was read. The bar is 1 GiB.

Resident memory has three parts. Anonymous memory is what the process allocated: the shuffle buffer, the batches and
at first the cache. Shared memory is the part of Ray's object store that the process has touched; its blocks are
shared with the process that read them and are given back when the stream moves on. File pages are memory-mapped
files, libraries among them: shards are mapped by the read tasks only, in processes of their own, where the kernel
drops the pages when it needs them.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ray

from cluster.session import ray_session
from cluster.stream import RaySource
from dclf.config import DataConfig
from dclf.data import DatasetInfo, Dialogue, Manifest, read_shards, write_shards
from dclf.training.batches import MIB, CachedSplit, batches, shuffled

WIDTHS = {"text": 100, "audio": 1582, "visual": 342}
UTTERANCES = 50
PARTS = ("RssAnon", "RssShmem", "RssFile", "VmRSS")
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Measurement:
    """What a worker saw: MiB streamed, its idle size, and per part the highest rise above it, in MiB."""

    streamed: float
    idle: float
    rise: dict[str, float]
    seconds: float


def dialogues(total_bytes: int, seed: int = 0) -> Iterator[Dialogue]:
    """Random dialogues of IEMOCAP's widths, nearly all for training."""
    rng = np.random.default_rng(seed)
    count = max(4, total_bytes // (4 * UTTERANCES * sum(WIDTHS.values())))
    for number in range(count):
        yield Dialogue(
            dialogue_id=f"d{number:06d}",
            split={0: "val", 1: "test"}.get(number, "train"),
            speakers=np.arange(UTTERANCES, dtype=np.int32) % 2,
            labels=rng.integers(0, 6, UTTERANCES, dtype=np.int32),
            features={m: rng.standard_normal((UTTERANCES, width), dtype=np.float32) for m, width in WIDTHS.items()},
        )


def write(folder: Path, total_bytes: int) -> Manifest:
    """A shard set of about this size."""
    names = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    info = DatasetInfo(dataset="random", class_names=names, widths=WIDTHS, speaker_count=2)
    return write_shards(dialogues(total_bytes), folder, info)


def resident() -> dict[str, float]:
    """MiB of this process's memory, by part."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0][:-1]: int(words[1]) / 1024 for words in lines if words[0][:-1] in PARTS}


@contextmanager
def highest() -> Iterator[dict[str, float]]:
    """Sample the process's memory during the block; the mapping holds the highest value of each part."""
    peak, done = resident(), threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            for part, size in resident().items():
                peak[part] = max(peak[part], size)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def stream(path: str, data: DataConfig) -> Measurement:
    """Both passes over the training split."""
    shards = read_shards(path)
    source = RaySource(shards, data.modalities)
    list(source.dialogues("val"))  # whatever Ray Data sets up once belongs to the idle size
    idle, started, streamed = resident(), time.perf_counter(), 0
    with highest() as peak:
        split = CachedSplit(source, "train", data.cache_mb * MIB)
        split.fill()
        for dialogue in split:
            streamed += sum(matrix.nbytes for matrix in dialogue.features.values())
        for batch in batches(shuffled(split, 0, 1, data.shuffle_mb * MIB), 16, data.modalities):
            streamed += sum(features.nbytes for features in batch.features.values())
    rise = {part: peak[part] - idle[part] for part in PARTS}
    return Measurement(streamed / MIB, idle["VmRSS"], rise, time.perf_counter() - started)


def measure(total_bytes: int, data: DataConfig | None = None) -> Measurement:
    """Write, stream in a worker process and clean up; inside a ``ray_session``."""
    with tempfile.TemporaryDirectory(prefix="dclf-stream-") as folder:
        write(Path(folder) / "shards", total_bytes)
        task = ray.remote(num_cpus=1)(stream)
        measurement: Measurement = ray.get(task.remote(f"{folder}/shards", data or DataConfig()))
        return measurement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=2.0, help="size of the shard set")
    arguments = parser.parse_args()
    with ray_session():
        use = measure(int(arguments.gib * 2**30))
    print(f"streamed {use.streamed:.0f} MiB in {use.seconds:.1f} s, {use.streamed / use.seconds:.0f} MiB/s")
    print(f"idle size {use.idle:.0f} MiB; highest rise above it, MiB:")
    for part, rise in use.rise.items():
        print(f"  {part:<9} {rise:8.0f}")


if __name__ == "__main__":
    main()
