"""How much of our own code a command runs in its driver: functions, and the files they lie in.

    python benchmarks/driver_size.py
    PYTHONPATH=CHECKOUT python benchmarks/driver_size.py      # of another checkout

`dclf train`, `dclf sweep` with one trial, `dclf perturb RUN` and `dclf reproduce --dry-run` run one after the other on
30 generated dialogues, each in a process of its own, with the lines of progress that a pipe gets. A function is one of
our packages that is called in that process, in any of its threads, counted once by its qualified name: comprehensions
and lambdas are functions, bodies of modules and classes are not. Workers of Ray, jobs and other processes do not count.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PACKAGES = ("dclf", "cluster", "tune")
TRAINING = ("iemocap", "--data.shards", "shards", "--train.epochs", "2", "--track.uri", "sqlite:///mlflow.db")
COMMANDS = {
    "train": ("train", *TRAINING, "--track.name", "run"),
    "sweep": ("sweep", *TRAINING, "--name", "study", "--trials", "1"),
    "perturb RUN": ("perturb", "run", "--uri", "sqlite:///mlflow.db"),
    "reproduce --dry-run": ("reproduce", "iemocap", "--shards", "shards", "--dry-run"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        count(Path(arguments.count[0]), arguments.count[1:])
        return
    with tempfile.TemporaryDirectory(prefix="dclf-driver-") as name:
        folder = Path(name)
        size(folder, "data", "generate", "shards", "--preset", "iemocap-small", "--dialogues", "30")
        print("| command | functions | files |\n|---|---|---|")
        for title, words in COMMANDS.items():
            functions, files = size(folder, *words)
            print(f"| {title} | {functions} | {files} |", flush=True)


def size(folder: Path, *words: str) -> tuple[int, int]:
    """Return how many functions a command runs, and in how many files."""
    result = folder / "functions.json"
    command = [sys.executable, str(Path(__file__).resolve()), "--count", str(result), *words]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"dclf {' '.join(words)} ended with {process.returncode}:\n{process.stdout}{process.stderr}")
    functions = json.loads(result.read_text(encoding="utf-8"))
    return len(functions), len({file for file, _ in functions})


def count(result: Path, words: list[str]) -> None:
    """Run a command in this process, write the functions that it called, and exit with its code."""
    from tune.commands.main import main as command  # noqa: PLC0415 - the process that prints the table needs none of it

    codes = []
    functions = functions_called(lambda: codes.append(command(words)))
    result.write_text(json.dumps(sorted(functions)), encoding="utf-8")
    sys.exit(codes[0])


def functions_called(work: Callable[[], None]) -> set[tuple[str, str]]:
    """Return file and qualified name of every function of ours that is called by ``work`` and the threads it starts."""
    called: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        # Bodies of modules and classes run without fast locals.
        if event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            called.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    # Threads that still run may add to the set.
    return {each for each in called.copy() if each[0].startswith(folders())}


def folders() -> tuple[str, ...]:
    """Return where our packages lie."""
    specs = [importlib.util.find_spec(package) for package in PACKAGES]
    return tuple(str(Path(spec.origin).parent) + os.sep for spec in specs if spec is not None and spec.origin)


if __name__ == "__main__":
    main()
