"""Rows a second of text extraction beside sentence-transformers called directly, on the same texts.

    python benchmarks/text_extraction.py MELD MODEL [--utterances 10000] [--repeats 2]

MELD is the folder of MELD's three tables, of which the first distinct utterances are taken, as the cache would spare
extraction those that come twice; MODEL is a folder of sentence-transformers. Measures ``rows()`` and
``SentenceTransformer.encode`` with one thread each, by the CPU's seconds, then ``tune.extract`` with an actor a CPU
beside ``encode`` with all CPUs, by the clock and in turns, since other work on the machine comes and goes. ``encode``
is counted without the model's opening, and extraction once rows come; seconds in all are those of ``tune.extract`` with
everything, Ray's start and the shards included. The bar is 0.9 of the direct call. The driver's resident memory is
sampled as rows come, and has to stay flat by ``benchmarks/flatness.py``, a percent of the rows in place of a trial.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

import psutil

from benchmarks.flatness import trend
from tune.extraction import ActorSettings, extract
from tune.study.events import Event, ExtractionProgress

BATCH = 64
"""Utterances that ``rows()`` is given at a time, sorted by length, as extraction does."""
BAR = 0.9


@dataclass
class Course:
    """What was seen of an extraction while rows came.

    Attributes:
        started: when it was called.
        rows: (seconds, rows done) at each event.
        memory: resident memory of this process at each event, in MiB.
        busy: share of all CPUs that was in use between two events.
    """

    started: float = field(default_factory=time.perf_counter)
    rows: list[tuple[float, int]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ExtractionProgress) and event.done:
            self.rows.append((time.perf_counter() - self.started, event.done))
            self.memory.append(psutil.Process().memory_info().rss / 2**20)
            self.busy.append(psutil.cpu_percent() / 100)

    @property
    def rate(self) -> float:
        """Rows a second since the first event."""
        (begin, before), (end, after) = self.rows[0], self.rows[-1]
        return (after - before) / (end - begin)


def distinct_texts(meld: Path, count: int) -> list[str]:
    """The first distinct utterances of MELD, in the tables' order."""
    texts: dict[str, None] = {}
    for split in ("train", "dev", "test"):
        with (meld / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            texts.update((row["Utterance"].strip(), None) for row in csv.DictReader(file) if row["Utterance"].strip())
    return list(texts)[:count]


def in_own_process(work: Callable[..., float], *arguments: object) -> float:
    """What a function returns that no other work shares a process with."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def direct_rate(model: str, texts: Sequence[str], threads: int) -> float:
    """Rows a second of sentence-transformers: of the CPU where it has one thread, else by the clock."""
    import torch  # noqa: PLC0415 - in a process of its own
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    torch.set_num_threads(threads)
    encoder = SentenceTransformer(model, device="cpu")
    encoder.encode(list(texts[:BATCH]))
    clock = time.process_time if threads == 1 else time.perf_counter
    started = clock()
    encoder.encode(list(texts))
    return len(texts) / (clock() - started)


def extractor_rate(model: str, texts: Sequence[str]) -> float:
    """Rows a second of the CPU of ``rows()``, in batches of like lengths."""
    import torch  # noqa: PLC0415 - see above

    from dclf.extraction import Utterance  # noqa: PLC0415
    from dclf.extraction.text import TextSettings  # noqa: PLC0415

    torch.set_num_threads(1)
    encoder = TextSettings(model=model).resolve().load("cpu")
    utterances = sorted((Utterance(text=text) for text in texts), key=lambda utterance: -len(utterance.text))
    encoder.rows(utterances[-BATCH:])
    started = time.process_time()
    for begin in range(0, len(utterances), BATCH):
        encoder.rows(utterances[begin : begin + BATCH])
    return len(texts) / (time.process_time() - started)


def extraction(model: str, texts: Sequence[str], actors: int) -> tuple[Course, float]:
    """The course of a whole extraction into new shards, and its seconds in all."""
    with tempfile.TemporaryDirectory(prefix="dclf-text-") as folder:
        table = Path(folder) / "table.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["dialogue", "speaker", "text", "emotion", "split"])
            splits = ("train", "train", "val", "test")
            for place, text in enumerate(texts):
                talk = place // 10
                rows.writerow([f"d{talk}", "AB"[place % 2], text, ("calm", "glad")[place % 2], splits[talk % 4]])
        psutil.cpu_percent()
        course = Course()
        extract(
            table,
            Path(folder) / "shards",
            text=model,
            actors=ActorSettings(actors=actors),
            cache=Path(folder) / "cache",
            listeners=[course],
        )
        return course, time.perf_counter() - course.started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meld", type=Path, help="folder of MELD's tables")
    parser.add_argument("model", help="folder of a model of sentence-transformers")
    parser.add_argument("--utterances", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    texts = distinct_texts(arguments.meld, arguments.utterances)
    cpus = len(os.sched_getaffinity(0))
    print(f"{len(texts)} distinct utterances, {cpus} CPUs\n")
    print("| one thread | rows() | encode | ratio |\n|---|---|---|---|")
    for turn in range(1, arguments.repeats + 1):
        ours = in_own_process(extractor_rate, arguments.model, texts)
        theirs = in_own_process(direct_rate, arguments.model, texts, 1)
        print(f"| {turn} | {ours:.0f} /s | {theirs:.0f} /s | {ours / theirs:.2f} |", flush=True)
    print("\n| all CPUs | tune.extract | encode | ratio | CPUs busy | in all |\n|---|---|---|---|---|---|")
    ratios = []
    for turn in range(1, arguments.repeats + 1):
        course, seconds = extraction(arguments.model, texts, cpus)
        theirs = in_own_process(direct_rate, arguments.model, texts, cpus)
        ratios.append(course.rate / theirs)
        print(
            f"| {turn} | {course.rate:.0f} /s | {theirs:.0f} /s | {ratios[-1]:.2f} | {fmean(course.busy[1:]):.0%} | "
            f"{seconds:.0f} s |",
            flush=True,
        )
    memory = trend([100 * done / len(texts) for _, done in course.rows], course.memory, 100)
    rise = f"{memory.share:+.1%} in 100 % of the rows: {'flat' if memory.flat else 'GROWS'}"
    print(f"\nmedian ratio {median(ratios):.2f}, the bar is {BAR}")
    print(f"driver's memory in the second half: {memory.mean:.0f} MiB, {rise}")


if __name__ == "__main__":
    main()
