"""How long the commands take on a study of thousands of trials.

    python benchmarks/large_study.py [--trials 5000]

One short trial is trained on the generator's small preset; then its lines in the ledger and its run in MLflow are
copied. Every command runs as a user starts it, in a process of its own. The resumed study trains two
more trials. Starting Ray is in both of its times, their training and the report in the second.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

TRIAL_TAG = "dclf.trial"
TABLES = ("runs", "params", "tags", "latest_metrics", "metrics")
COMMANDS = (["list"], ["show", "large"], ["report", "large"], ["doctor", "large"])
BAR_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dclf-large-") as name:
        folder = Path(name)
        os.chdir(folder)
        dclf("data", "generate", "shards", "--preset", "iemocap-small")
        dclf(
            *("sweep", "iemocap", "--data.shards", "shards", "--name", "large", "--trials", "1", "--train.epochs", "2"),
            *("--sampler", "random", "--scheduler", "none", "--quiet"),
        )
        multiply(folder / "dclf-runs", arguments.trials)
        print(f"| command, {arguments.trials:,} trials | s | bar s | peak MiB |\n|---|---|---|---|")
        for words in COMMANDS:
            seconds, peak = dclf(*words)
            print(f"| {words[0]} | {seconds:.1f} | {BAR_S:g} | {peak:.0f} |", flush=True)
        start = time.time()
        seconds, peak = dclf("resume", "large", "--quiet")
        ready = last_session(folder / "dclf-runs") - start
        print(f"| resume, until trials are handed out | {ready:.1f} | {BAR_S:g} | |")
        print(f"| resume, with two trials and the report | {seconds:.1f} | | {peak:.0f} |")


def last_session(runs: Path) -> float:
    """When the last driver of the study began to hand out trials, in seconds since the epoch."""
    from tune.study.folder import StudyFolder  # noqa: PLC0415 - after the folder is known

    notes = StudyFolder.open(runs / "studies", "large").ledger.notes
    return max(note["time"] for note in notes if note["kind"] == "begin")


def multiply(runs: Path, count: int) -> None:
    """Make ``count`` trials of the study's only one."""
    from tune.study.folder import StudyFolder  # noqa: PLC0415 - after the folder is known
    from tune.study.sent_marks import mark_sent  # noqa: PLC0415

    real_fsync, os.fsync = os.fsync, lambda _file: None
    study = StudyFolder.open(runs / "studies", "large")
    ledger = study.ledger
    (trial,) = ledger.trials.values()
    ((seed, run),) = trial.runs.items()
    ids = {number: uuid.uuid4().hex for number in range(1, count)}
    for number, run_id in ids.items():
        ledger.create(trial.params, optuna=number)
        ledger.start(number, "ray")
        ledger.run(number, seed, run_id)
        ledger.seed_done(number, seed, trial.values, run.epochs)
        ledger.end(number, "complete", trial.values, curve=trial.curve)
    copy_runs(runs / "mlflow.db", run.run_id, ids)
    study.extend(trials=count + 2)
    mark_sent(study, ledger.lines, closed=True)
    for number in range(1, study.definition.sweep.keep):
        shutil.copytree(study.checkpoint(0, seed), study.checkpoint(number, seed))
    os.fsync = real_fsync


def copy_runs(database: Path, original: str, ids: dict[int, str]) -> None:
    with sqlite3.connect(database) as file:
        file.execute("CREATE TEMP TABLE n (number INTEGER, id TEXT)")
        file.executemany("INSERT INTO n VALUES (?, ?)", ids.items())
        for table in TABLES:
            columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
            special = {"run_uuid": "n.id"}
            if table == "tags":
                special["value"] = f"CASE WHEN t.key = '{TRIAL_TAG}' THEN n.number ELSE t.value END"
            values = ", ".join(special.get(column, f't."{column}"') for column in columns)
            names = ", ".join(f'"{column}"' for column in columns)
            file.execute(
                f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, n WHERE t.run_uuid = ?", (original,)
            )


def dclf(*words: str) -> tuple[float, float]:
    """Seconds and peak MiB of a command that succeeds."""
    start = time.perf_counter()
    child = subprocess.Popen([Path(sys.executable).with_name("dclf"), *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"dclf {' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
