"""How long a user waits for a command beside the training itself.

    python benchmarks/waits.py [--repeats 3 --epochs 3]

On the generator's small preset, in a fresh folder each time: `dclf train`, `dclf evaluate` and `dclf perturb` of that
run, and `dclf sweep` of one trial. Seconds from the start of the command to its first epoch, from its last epoch to the
scores and to its end, and in all; processor seconds are those of all its processes, Ray's among them, looked at five
times a second. Last come the stages of the start as the command itself tells them. Beside other work only processor
seconds compare.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from matmul_rate import matmul_rate

SAMPLE_SECONDS = 0.2
FIRST_BAR_S, LAST_BAR_S = 12.0, 3.0
DCLF = str(Path(sys.executable).with_name("dclf"))


@dataclass
class Waits:
    """Of one command: seconds at which its epochs and scores were told of, and of its stages.

    Attributes:
        run_id: of the run that it trained; empty where it trained none.
    """

    epochs: list[float] = field(default_factory=list)
    scored: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    run_id: str = ""
    seconds: float = 0.0
    processor: float = 0.0

    def hear(self, line: str, now: float) -> None:
        """Take in an event that the command wrote."""
        event = json.loads(line)
        match event.get("event"):
            case "epoch":
                self.epochs.append(now)
            case "stage":
                self.stages[event["name"]] = event["seconds"]
            case "finished":
                self.scored = now
            case "started":
                self.run_id = event.get("run_id", "")

    def row(self, name: str) -> str:
        """Return a line of the table."""
        epochs = ("", "", "")
        if self.epochs:
            last = self.epochs[-1]
            epochs = (f"{self.epochs[0]:.1f}", f"{self.scored - last:.1f}", f"{self.seconds - last:.1f}")
        stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in self.stages.items())
        return f"| {name} | {' | '.join(epochs)} | {self.seconds:.1f} | {self.processor:.1f} | {stages} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"1024-cubed product: {matmul_rate():.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}")
    print(f"bars of train: {FIRST_BAR_S:g} s to the first epoch, {LAST_BAR_S:g} s from the last to the scores\n")
    columns = ("to the first epoch", "from the last to the scores", "to the end", "in all", "processor", "stages")
    print(f"| command | {' | '.join(f'{column}, s' for column in columns)} |")
    print("|---|---|---|---|---|---|---|")
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory(prefix="dclf-waits-") as folder:
            measure(Path(folder), arguments.epochs)


def measure(folder: Path, epochs: int) -> None:
    """Print a line for every command."""
    subprocess.run([DCLF, "data", "generate", "shards", "--preset", "iemocap-small"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    training = ("iemocap", "--data.shards", "shards", "--train.epochs", str(epochs), "--log", "jsonl")
    run = timed(folder, "train", *training)
    print(run.row("train"), flush=True)
    print(timed(folder, "evaluate", run.run_id).row("evaluate"), flush=True)
    print(timed(folder, "perturb", run.run_id, "--log", "jsonl").row("perturb"), flush=True)
    print(timed(folder, "sweep", *training, "--trials", "1", "--name", "one").row("sweep, one trial"), flush=True)


def timed(folder: Path, *words: str) -> Waits:
    """Run a command and listen to the events that it writes."""
    waits, started = Waits(), time.perf_counter()
    with (folder / "output").open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            [DCLF, *words], cwd=folder, stdout=subprocess.PIPE, stderr=output, text=True, encoding="utf-8"
        )
        assert process.stdout is not None
        with processor_seconds(psutil.Process(process.pid)) as used:
            for line in process.stdout:
                if line.startswith("{"):
                    waits.hear(line, time.perf_counter() - started)
            code = process.wait()
        waits.seconds, waits.processor = time.perf_counter() - started, sum(used.values())
        if code:
            output.seek(0)
            raise SystemExit(f"{output.read()}\ndclf {' '.join(words)}: exit code {code}")
    return waits


@contextmanager
def processor_seconds(command: psutil.Process) -> Iterator[dict[psutil.Process, float]]:
    """Look at a command and all below it during the block; process -> its seconds so far."""
    used: dict[psutil.Process, float] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(SAMPLE_SECONDS):
            for process in list_processes(command):
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                used[process] = times.user + times.system

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield used
    finally:
        done.set()
        thread.join()


def list_processes(command: psutil.Process) -> list[psutil.Process]:
    """Return the command and all processes below it; none where it has ended."""
    try:
        return [command, *command.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    main()
