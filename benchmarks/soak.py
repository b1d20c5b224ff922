"""Many short trials on a cluster that keeps losing a node: does every one end once, and does anything pile up?

    python -m benchmarks.soak [--trials 200 --every 60 --nodes 2]

Starts what ``dclf cluster up`` starts (real Ray nodes and an MLflow server, on loopback behind token and password),
runs ``dclf sweep`` on it, and kills a worker node with all its processes every so many seconds; another takes its place
at once. Meanwhile it measures the memory of driver and server, the driver's open files, and the files that Ray and the
study keep. Exit status 1 where a trial has not ended as exactly one FINISHED run, or a figure grows.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from benchmarks.flatness import RULE, Trend, table, trend

NAME = "soak"
SHOWN_EVERY_S = 30.0
CPUS = 2
SETTINGS = {"sweep.sampler": "random", "sweep.scheduler": "none", "train.device": "cpu"}


class Cluster(Protocol):
    """Where a soak takes place."""

    address: str
    environment: Mapping[str, str]
    lost: int

    def replace_node(self) -> None:
        """Kill a worker node with all its processes, and start another one in its place."""

    def figures(self) -> dict[str, float]:
        """What else of it is to be measured."""


@dataclass
class Soak:
    """One sweep under fire.

    Args:
        cluster: it runs on.
        folder: it works in; the shards are in ``shards`` there.
        trials: how many.
        epochs: of each.
        due: after so many seconds and ended trials: whether the next node is to go.
        settings: further ones of ``dclf sweep``.
        every: seconds between measurements.
    """

    cluster: Cluster
    folder: Path
    trials: int
    epochs: int
    due: Callable[[float, int], bool]
    settings: Mapping[str, str] = field(default_factory=dict)
    every: float = 2.0
    measured: list[dict[str, float]] = field(default_factory=list)

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    def run(self, show: Callable[[dict[str, float]], None]) -> int:
        """Run the sweep to its end, and return the exit code of ``dclf sweep``."""
        with self._log.open("wb") as log:
            driver = psutil.Popen(
                self._command(), cwd=self.folder, env=dict(self.cluster.environment), stdout=log, stderr=log
            )
        try:
            self._watch(driver, show)
            return int(driver.wait())
        finally:
            with suppress(psutil.NoSuchProcess):
                driver.kill()

    def _watch(self, driver: psutil.Popen, show: Callable[[dict[str, float]], None]) -> None:
        """Measure, and replace nodes, until all trials have ended; then the driver writes the report."""
        start = show_time = time.monotonic()
        while driver.poll() is None:
            time.sleep(self.every)
            seconds = time.monotonic() - start
            with suppress(psutil.Error):
                row = self._measure(driver, seconds)
                if row["trials"] >= self.trials:
                    return
                self.measured.append(row)
                if time.monotonic() - show_time > SHOWN_EVERY_S:
                    show_time = time.monotonic()
                    show(row)
                if self.due(seconds, int(row["trials"])):
                    self.cluster.replace_node()

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def _log(self) -> Path:
        return self.folder / "sweep.log"

    def _command(self) -> list[str]:
        settings = {**SETTINGS, "data.shards": "shards", "train.epochs": str(self.epochs), **self.settings}
        words = ["--trials", str(self.trials), *(word for key in settings for word in (f"--{key}", settings[key]))]
        place = ["--name", NAME, "--storage", str(self.studies), "--address", self.cluster.address, "--log", "plain"]
        code = "import sys; from tune.commands.main import main; sys.exit(main())"
        return [sys.executable, "-c", code, "sweep", "iemocap", *words, *place]

    def _measure(self, driver: psutil.Process, seconds: float) -> dict[str, float]:
        ended = ended_trials(self.studies / NAME / "ledger.jsonl")
        return {
            "seconds": seconds,
            "trials": ended,
            "nodes lost": self.cluster.lost,
            "driver MiB": driver.memory_info().rss / 2**20,
            "driver files": driver.num_fds(),
            "study files per trial": count_files(self.studies / NAME) / max(1, ended),
            **self.cluster.figures(),
        }

    def trends(self) -> dict[str, Trend]:
        """Of everything measured while trials ended."""
        trials = [row["trials"] for row in self.measured]
        names = [name for name in self.measured[-1] if name not in ("seconds", "trials", "nodes lost")]
        return {name: trend(trials, [row[name] for row in self.measured], self.trials) for name in names}


def ended_trials(ledger: Path) -> int:
    return ledger.read_bytes().count(b'"event": "ended"') if ledger.exists() else 0


def count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


class Table:
    """Prints rows as they come."""

    def __init__(self) -> None:
        self._has_heading = False

    def __call__(self, row: Mapping[str, float]) -> None:
        if not self._has_heading:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        self._has_heading = True
        cells = [f"{value:,.1f}" if value % 1 else f"{value:,.0f}" for value in row.values()]
        print("| " + " | ".join(cells) + " |", flush=True)


def unfinished(studies: Path, uri: str, trials: int) -> list[str]:
    """What is wrong with the runs: every trial must have ended complete, as exactly one FINISHED run."""
    from tune.study.folder import StudyFolder  # noqa: PLC0415
    from tune.tracking.children import KIND_TAG, TRIAL_TAG, find_runs  # noqa: PLC0415 - after the environment is set
    from tune.tracking.store import connect  # noqa: PLC0415

    study = StudyFolder.open(studies, NAME)
    states = Counter(trial.state for trial in study.ledger.trials.values())
    children = find_runs(connect(uri, study.definition.base.track.experiment), NAME, {KIND_TAG: "trial"})
    runs = Counter(int(run.data.tags[TRIAL_TAG]) for run in children)
    others = [trial for trial in study.ledger.trials.values() if trial.state != "complete"]
    return [
        *([f"trials ended as {dict(states)}"] if states != {"complete": trials} else []),
        *(f"trial {trial.number} is {trial.state}: {trial.reason}" for trial in others),
        *(f"trial {number} has {runs[number]} runs" for number in range(trials) if runs[number] != 1),
        *(f"run {run.info.run_id} is {run.info.status}" for run in children if run.info.status != "FINISHED"),
    ]


class LocalNodes:
    """The nodes of a local cluster."""

    def __init__(self, folder: Path, nodes: int) -> None:
        from cluster.local.options import Options  # noqa: PLC0415
        from cluster.local.start import up  # noqa: PLC0415

        logging.basicConfig(format="%(message)s")
        logging.getLogger("cluster").setLevel(logging.INFO)
        self._local = up(Options(nodes=nodes, cpus=CPUS), folder)
        self.address = self._local.ray_address
        self.environment = {**os.environ, **self._local.environment(), "OMP_NUM_THREADS": "1"}
        self.lost = 0
        self._pids = {member.name: member.process.pid for member in self._local.members}
        self._workers = [name for name in self._pids if name.startswith("node-")]

    def replace_node(self) -> None:
        name = self._workers[self.lost % len(self._workers)]
        kill_tree(psutil.Process(self._pids[name]))
        os.waitpid(self._pids[name], 0)
        self.lost += 1
        self._pids[name] = self._start(name)

    def _start(self, name: str) -> int:
        from cluster.local.nodes import node_environment, worker_command  # noqa: PLC0415
        from cluster.local.processes import start  # noqa: PLC0415

        log = self._local.folder / "logs" / f"{name}-{self.lost}.log"
        return start(worker_command(self._local, name), node_environment(self._local), log)

    def figures(self) -> dict[str, float]:
        server = psutil.Process(self._pids["mlflow"])
        started = 1 + len(self._workers) + self.lost
        return {
            "server MiB": sum(each.memory_info().rss for each in [server, *server.children(recursive=True)]) / 2**20,
            "Ray files per node started": count_files(Path(self._local.sockets)) / started,
        }


def kill_tree(process: psutil.Process) -> None:
    """Kill a process and its children, parents first, so that none of them replaces a child."""
    tree = [process, *process.children(recursive=True)]
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(tree[1:], timeout=10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="seconds between lost nodes")
    parser.add_argument("--nodes", type=int, default=2, help="the head among them")
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.nodes < 2:
        parser.error("--nodes: must be at least 2, as the head is never killed")
    folder = Path(tempfile.mkdtemp(prefix="dclf-soak-"))
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    from cluster.local.stop import down  # noqa: PLC0415

    try:
        return soak(folder, arguments)
    finally:
        down(folder / "cluster")
        shutil.rmtree(folder, ignore_errors=True)


def soak(folder: Path, arguments: argparse.Namespace) -> int:
    dclf = [sys.executable, "-c", "import sys; from tune.commands.main import main; sys.exit(main())"]
    subprocess.run(
        [*dclf, "data", "generate", str(folder / "shards"), "--preset", "iemocap-small"],
        check=True,
    )
    nodes = LocalNodes(folder / "cluster", arguments.nodes)
    os.environ.update(nodes.environment)
    endurance = Soak(
        nodes,
        folder,
        arguments.trials,
        arguments.epochs,
        due=lambda seconds, _ended: seconds > arguments.every * (nodes.lost + 1),
    )
    code = endurance.run(Table())
    print(f"dclf sweep ended with {code}\n{endurance.output}" if code else "")
    wrong = unfinished(endurance.studies, nodes.environment["MLFLOW_TRACKING_URI"], arguments.trials)
    ended = f"{len(wrong)} things are wrong" if wrong else "each ended as exactly one FINISHED run"
    budget = f"{arguments.trials} trials of {arguments.epochs} epochs"
    print(f"{budget} in {endurance.measured[-1]['seconds']:.0f} s, {nodes.lost} nodes lost: {ended}")
    print("\n".join(wrong[:20]))
    trends = endurance.trends()
    print(f"Flat: {RULE}.\n\n{table(trends)}")
    return int(bool(code or wrong) or not all(each.flat for each in trends.values()))


if __name__ == "__main__":
    sys.exit(main())
