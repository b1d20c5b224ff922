"""What grows with dialogues, trials and epochs, measured at several sizes: the points behind docs/scaling.md.

    python -m benchmarks.scaling [bank data ledger mlflow optuna]

Everything is written to a temporary folder. Files are filled without waiting for the disk at every line; what is timed
afterwards is what a study does.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from benchmarks.matmul_rate import matmul_rate
from dclf.bank import MemoryBank
from dclf.config import Config
from dclf.data import DatasetInfo, Dialogue, read_shards, write_shards
from dclf.data.index import read_index
from dclf.data.manifest import INDEX, MANIFEST, read_manifest
from dclf.data.storage import Folder
from dclf.metrics import classification_scores
from dclf.negatives import EmotionIndex
from dclf.training.reports import EpochReport
from tune.config.sweep_settings import SweepSettings
from tune.runner.child_writes import child_tags, end_writes, start_writes
from tune.runner.optuna_study import JOURNAL, LiveStudy
from tune.search.samplers import make_sampler
from tune.search.space import DEFAULT, Space
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.ledger import Ledger, TrialRecord
from tune.tracking.children import Children
from tune.tracking.records import epoch_write
from tune.tracking.store import connect

STATE_WIDTH = 300
"""s of both base models in every preset."""
STEP = 735
"""Utterances of one step: 16 dialogues of IEMOCAP's length."""
CLASSES = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
EPOCHS = 10
LENGTH = 50
MIB = 2**20
TABLES = ("runs", "params", "tags", "metrics", "latest_metrics")
"""Where MLflow keeps runs."""


def bank(folder: Path) -> None:
    print("\n| utterances | bank MiB | bytes each | write, ms | checkpoint, s | index W 4, s | W 10, s | draw, ms |")
    print("|---|---|---|---|---|---|---|---|")
    for utterances in (10_000, 30_000, 100_000, 1_000_000):
        states = MemoryBank(utterances, STATE_WIDTH)
        positions, rows = torch.randperm(utterances)[:STEP], torch.randn(STEP, STATE_WIDTH)
        size = sum(buffer.nbytes for buffer in states.buffers())
        write = median(partial(states.write, positions, rows))
        save = seconds(partial(torch.save, states.state_dict(), folder / "bank.pt"))
        index = EmotionIndex(emotions(utterances), np.full(utterances // LENGTH, LENGTH))
        short = seconds(partial(index.sample, positions[:1], 4, 0, 0))
        draw = median(partial(index.sample, positions, 4, 0, 1))
        # Its time grows with the square of the utterances: more than half an hour for the last size.
        runs = partial(index.sample, positions[:1], 10, 0, 0)
        long = f"{seconds(runs):.1f}" if utterances <= 100_000 else "not run"
        print(
            f"| {utterances:,} | {size / MIB:.1f} | {size / utterances:.0f} | {write * 1e3:.2f} | {save:.2f} | "
            f"{short:.2f} | {long} | {draw * 1e3:.2f} |",
            flush=True,
        )


def emotions(utterances: int) -> NDArray[np.int64]:
    """Drawn evenly and one by one, the worst case: real ones repeat, so that more histories find an equal run."""
    return np.random.default_rng(0).integers(0, len(CLASSES), utterances)


def data(folder: Path) -> None:
    print(
        "\n| dialogues | shards | index B/dialogue | manifest B/shard | write ms/dialogue | open ms | index read ms |"
    )
    print("|---|---|---|---|---|---|---|")
    for count in (1_000, 10_000, 100_000):
        place = folder / f"shards-{count}"
        # Narrow features and small shards: only numbers of dialogues and files matter here.
        write = seconds(partial(write_shards, dialogues(count), place, INFO, max_shard_bytes=1 << 18))
        shards = len(read_manifest(place).shards)
        index, entry = (place / INDEX).stat().st_size / count, (place / MANIFEST).stat().st_size / shards
        opened = median(partial(read_shards, place))
        read = median(partial(read_index, Folder.of(place), "train"), repeats=3)
        print(
            f"| {count:,} | {shards:,} | {index:.0f} | {entry:.0f} | {write / count * 1e3:.2f} | {opened * 1e3:.1f} | "
            f"{read * 1e3:.0f} |",
            flush=True,
        )


INFO = DatasetInfo(dataset="scaling", class_names=CLASSES, widths={"text": 8}, speaker_count=2, provenance={})


def dialogues(count: int, utterances: int = 10) -> Iterator[Dialogue]:
    features = {"text": np.ones((utterances, 8), dtype=np.float32)}
    speakers = np.arange(utterances, dtype=np.int32) % 2
    for number in range(count):
        labels = (np.arange(utterances, dtype=np.int32) + number) % len(CLASSES)
        split = {0: "val", 1: "test"}.get(number, "train")
        yield Dialogue(dialogue_id=f"d{number:07d}", split=split, speakers=speakers, labels=labels, features=features)


def ledger(folder: Path) -> None:
    print("\n| trials | ledger MiB | bytes/trial | open s | a line ms |\n|---|---|---|---|---|")
    for trials in (1_000, 10_000, 100_000):
        path = folder / f"ledger-{trials}.jsonl"
        fill(path, trials)
        size = path.stat().st_size
        spent = seconds(partial(Ledger, path))
        line = median(partial(Ledger(path).run, 0, 0, "0" * 32), repeats=50)
        print(
            f"| {trials:,} | {size / MIB:.1f} | {size / trials:.0f} | {spent:.2f} | {line * 1e3:.2f} |",
            flush=True,
        )


def fill(path: Path, trials: int, running: int = 0) -> None:
    """What a sweep of one seed over the default space writes; the lines of one trial under all their numbers."""
    one = Ledger(path)
    one.create(params(0), optuna=0)
    one.start(0, "0a1b2c3d_00000")
    one.run(0, 0, uuid.uuid4().hex)
    one.seed_done(0, 0, (0.81234567890123,), EPOCHS)
    one.end(0, "complete", (0.81234567890123,), curve=[0.81234567890123] * EPOCHS)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open("a", encoding="utf-8") as file:
        for number in range(1, trials):
            same = {"number": number, "optuna": number, "params": params(number)}
            ran = lines if number > running else lines[:2]
            file.writelines(json.dumps({**line, **{k: v for k, v in same.items() if k in line}}) + "\n" for line in ran)


def params(number: int) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    return {
        "loss.gamma_ca": round(0.05 * int(rng.integers(0, 21)), 2),
        "loss.gamma_mc": round(0.05 * int(rng.integers(0, 21)), 2),
        "loss.window": int(rng.integers(2, 21)),
        "loss.temperature": float(np.exp(rng.uniform(np.log(0.02), np.log(0.5)))),
    }


def mlflow(folder: Path) -> None:
    print("\n| trials in the store | MiB | KiB/trial | rows/trial | begin ms | epoch ms | end ms | a trial s |")
    print("|---|---|---|---|---|---|---|---|")
    file = folder / "mlflow.db"
    store = connect(f"sqlite:///{file}", "scaling")
    children = Children(store, "scaling", lambda _key, _run_id: None)
    definition = StudyDefinition(name="scaling", config=Config().to_dict(), settings={})
    empty, stored = used(file), 0
    for target in (10, 300, 3_000):
        copies = target - stored - 10
        copy_runs(file, copies)
        parts = [record(children, definition, stored + copies + extra) for extra in range(10)]
        begin, epoch, end = (statistics.median(part) * 1e3 for part in zip(*parts, strict=True))
        stored, size = target, used(file)
        print(
            f"| {stored:,} | {size / MIB:.1f} | {(size - empty) / stored / 1024:.0f} | "
            f"{row_count(file) / stored:.0f} | {begin:.0f} | {epoch:.1f} | {end:.0f} | "
            f"{(begin + EPOCHS * epoch + end) / 1e3:.2f} |",
            flush=True,
        )


def copy_runs(file: Path, count: int) -> None:
    """Further runs like the first one in the store."""
    with sqlite3.connect(file) as database:
        database.execute("CREATE TEMP TABLE n (id TEXT)")
        database.executemany("INSERT INTO n VALUES (?)", [(uuid.uuid4().hex,) for _ in range(count)])
        for table in TABLES:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = ", ".join("n.id" if column == "run_uuid" else f't."{column}"' for column in columns)
            first = "(SELECT run_uuid FROM runs ORDER BY start_time LIMIT 1)"
            names = ", ".join(columns)
            database.execute(
                f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, n WHERE t.run_uuid = {first}"
            )


def record(children: Children, definition: StudyDefinition, number: int) -> tuple[float, float, float]:
    """A trial's run: seconds until it is described, of an epoch, and of its end."""
    key = number, 0
    trial = TrialRecord(number=number, params=params(number), state="complete", values=(0.8,))
    start = time.perf_counter()
    children.open(key, f"scaling-{number}", child_tags(definition, "0" * 32, number, 0), "", look=False)
    for write in start_writes(trial, 0, Config(), {}):
        children.send(key, write)
    described = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        children.send(key, epoch_write(report(epoch)))
    trained = time.perf_counter()
    for write in end_writes(trial):
        children.send(key, write)
    return described - start, (trained - described) / EPOCHS, time.perf_counter() - trained


def report(epoch: int) -> EpochReport:
    rng = np.random.default_rng(epoch)
    targets, predicted = rng.integers(0, len(CLASSES), (2, 500))
    return EpochReport(
        epoch=epoch,
        epochs=EPOCHS,
        losses=dict.fromkeys(("total", "ce", "ca", "mc", "unimodal"), 1.0 / epoch),
        validation=classification_scores(targets, predicted, CLASSES),
        best_epoch=epoch,
        best_wf1=0.8,
        seconds=1.0,
        ended=1_700_000_000.0 + epoch,
    )


def row_count(file: Path) -> int:
    with sqlite3.connect(file) as database:
        return sum(database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in TABLES)


def used(file: Path) -> int:
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))


def search(folder: Path) -> None:
    print("\n| trials | running | journal MiB | bytes/trial | open s | tpe ask ms | random ask ms |")
    print("|---|---|---|---|---|---|---|")
    for trials, running in ((100, 2), (1_000, 2), (1_000, 200), (10_000, 2), (10_000, 1_000)):
        name = f"t{trials}-{running}"
        study = StudyFolder.create(folder, definition_of(name))
        fill(study.ledger.path, trials, running)
        study = StudyFolder.open(folder, name)
        asks = [ask(study, sampler) for sampler in ("tpe", "random")]
        size = (study.path / JOURNAL).stat().st_size
        print(
            f"| {trials:,} | {running:,} | {size / MIB:.1f} | {size / trials:.0f} | {asks[0][0]:.2f} | "
            f"{asks[0][1] * 1e3:.0f} | {asks[1][1] * 1e3:.0f} |",
            flush=True,
        )


def definition_of(name: str) -> StudyDefinition:
    settings = dataclasses.asdict(SweepSettings())
    return StudyDefinition(name=name, config=Config().to_dict(), settings=settings, space=DEFAULT)


def ask(study: StudyFolder, sampler: str) -> tuple[float, float]:
    """Seconds until a driver has the study, and to ask for a trial's values, the median of three."""
    settings, space = dataclasses.replace(SweepSettings(), sampler=sampler), Space.of(DEFAULT)
    start = time.perf_counter()
    live = LiveStudy(study, space, make_sampler(settings, space, 1), None)
    took = time.perf_counter() - start
    return took, median(partial(live.study.ask, space.distributions), repeats=3)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], Any], repeats: int = 9) -> float:
    return statistics.median(seconds(work) for _ in range(repeats))


PARTS: dict[str, Callable[[Path], None]] = {
    "bank": bank,
    "data": data,
    "ledger": ledger,
    "mlflow": mlflow,
    "optuna": search,
}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; all where absent")
    parts = parser.parse_args(words).parts or list(PARTS)
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{matmul_rate():.0f} GFLOP/s on one thread, load {os.getloadavg()[0]:.1f}")
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="dclf-scaling-") as name:
            took = seconds(partial(PARTS[part], Path(name)))
        print(f"\n{part}: {took:.0f} s", flush=True)


if __name__ == "__main__":
    main()
