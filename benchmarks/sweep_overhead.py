"""What a sweep costs beyond its trainings, and what the same search costs by hand.

    python benchmarks/sweep_overhead.py [--trials 32 --epochs 10 --concurrency 2 --repeats 1]
    python benchmarks/sweep_overhead.py --long      # 8 trials of 60 epochs, the sweep and plain processes alone

Four take turns on the same work, training the model of the preset iemocap with all imports and starts in their time:

- the sweep, as a user starts it: `dclf sweep` with random search, no pruning, MLflow in a fresh SQLite file, a report;
- plain processes that know neither Ray, Optuna nor MLflow; they share out the sweep's own configurations;
- Optuna in as many processes on one journal, with a run in MLflow per trial and metrics per epoch;
- Ray Tune's Tuner with OptunaSearch, MLflow's callback, a report and a checkpoint per epoch.

The last two, in benchmarks/peers, draw their own configurations at random from the same space. Data are the generator's
iemocap-small, with --long its iemocap. A trial's fixed cost is the time from its creation to its end that is not spent
in epochs, in the sweep, after the first trials. Minutes of a shared machine differ by a tenth and more: with several
repeats the last row sets the sums of all times against each other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

from matmul_rate import matmul_rate

FIXED_BAR_S, RAY_TUNE_BAR, LONG_BAR = 0.35, 2.5, 1.08
PEERS = Path(__file__).with_name("peers").resolve()


@dataclass(frozen=True)
class Times:
    """Seconds of each; the peers' are missing with --long."""

    sweep: float
    plain: float
    fixed: float
    optuna: float | None = None
    ray_tune: float | None = None

    @classmethod
    def total(cls, repeats: Sequence[Times]) -> Times:
        """Return the sums, and the median of the fixed cost."""
        columns = {field.name: [getattr(times, field.name) for times in repeats] for field in fields(cls)}
        fixed = median(columns.pop("fixed"))
        return cls(fixed=fixed, **{name: None if None in column else sum(column) for name, column in columns.items()})

    def row(self) -> str:
        ratio = self.sweep / self.plain
        if self.optuna is None or self.ray_tune is None:
            return f"| {self.sweep:.1f} | {self.plain:.1f} | {ratio:.3f} | {LONG_BAR} | {self.fixed:.2f} |"
        return (
            f"| {self.sweep:.1f} | {self.plain:.1f} | {self.optuna:.1f} | {self.ray_tune:.1f} | {ratio:.2f} "
            f"| {self.ray_tune / self.sweep:.2f} | {RAY_TUNE_BAR} | {self.fixed:.2f} | {FIXED_BAR_S} |"
        )


SHORT_HEAD = """\
| sweep s | plain s | Optuna s | Ray Tune s | sweep / plain | Ray Tune / sweep | at least | fixed cost s | at most |
|---|---|---|---|---|---|---|---|---|"""
LONG_HEAD = """\
| sweep s | plain s | sweep / plain | at most | fixed cost of a trial s |
|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, help="32; 8 with --long")
    parser.add_argument("--epochs", type=int, help="10; 60 with --long")
    parser.add_argument("--concurrency", type=int, default=2, help="trials at a time")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--long", action="store_true", help="long trials on the larger preset, without the searches by hand"
    )
    arguments = parser.parse_args()
    arguments.trials = arguments.trials or (8 if arguments.long else 32)
    arguments.epochs = arguments.epochs or (60 if arguments.long else 10)
    if arguments.trials <= arguments.concurrency:
        parser.error(f"--trials must be more than --concurrency ({arguments.concurrency}), is {arguments.trials}")
    print(f"1024-cubed product: {matmul_rate():.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}")
    print(f"{arguments.trials} trials of {arguments.epochs} epochs, {arguments.concurrency} at a time\n")
    print(LONG_HEAD if arguments.long else SHORT_HEAD, flush=True)
    repeats = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory(prefix="dclf-overhead-") as folder:
            repeats.append(measure(Path(folder), arguments))
            print(repeats[-1].row(), flush=True)
    if len(repeats) > 1:
        print(Times.total(repeats).row())


def measure(folder: Path, arguments: argparse.Namespace) -> Times:
    """Let each do the work once, in a folder of its own."""
    shards = folder / "shards"
    run(dclf("data", "generate", str(shards), "--preset", "iemocap" if arguments.long else "iemocap-small"), folder)
    sweep = seconds_of(lambda: run(sweep_command(shards, arguments), folder))
    plain = plain_processes(shards, trial_params(folder / "studies"), arguments)
    plain_s = seconds_of(lambda: run_all(plain, folder))
    fixed = fixed_cost(folder / "studies", arguments.concurrency)
    if arguments.long:
        return Times(sweep, plain_s, fixed)
    optuna = seconds_of(lambda: run(peer("optuna_processes", shards, arguments), folder))
    check_runs(folder / "optuna_processes", arguments)
    ray_tune = seconds_of(lambda: run(peer("ray_tune", shards, arguments), folder))
    check_runs(folder / "ray_tune", arguments)
    return Times(sweep, plain_s, fixed, optuna, ray_tune)


def seconds_of(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def dclf(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("dclf")), *words]


def sweep_command(shards: Path, arguments: argparse.Namespace) -> list[str]:
    return dclf(
        *("sweep", "iemocap", "--data.shards", str(shards), "--name", "overhead", "--trials", str(arguments.trials)),
        *("--train.epochs", str(arguments.epochs), "--train.patience", "0"),
        *("--sampler", "random", "--scheduler", "none", "--concurrency", str(arguments.concurrency)),
        *("--storage", "studies", "--track.uri", "sqlite:///mlflow.db", "--quiet"),
    )


def plain_processes(shards: Path, params: list[dict[str, object]], arguments: argparse.Namespace) -> list[list[str]]:
    script = [sys.executable, str(PEERS / "plain_process.py"), str(shards), str(arguments.epochs)]
    return [[*script, json.dumps(params[share :: arguments.concurrency])] for share in range(arguments.concurrency)]


def peer(name: str, shards: Path, arguments: argparse.Namespace) -> list[str]:
    numbers = ("--trials", str(arguments.trials), "--epochs", str(arguments.epochs))
    script = [sys.executable, str(PEERS / f"{name}.py"), str(shards), name]
    return [*script, *numbers, "--concurrency", str(arguments.concurrency)]


def run(command: list[str], folder: Path) -> None:
    run_all([command], folder)


def run_all(commands: Sequence[list[str]], folder: Path) -> None:
    """Run commands side by side in a folder; what they print is shown where one fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        processes = [
            subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT) for command in commands
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            output.seek(0)
            raise SystemExit(f"{output.read()}\nexit codes {codes}: {commands}")


def trial_params(studies: Path) -> list[dict[str, object]]:
    from tune.study.folder import StudyFolder  # noqa: PLC0415 - what is measured shall not wait for it

    return [dict(trial.params) for trial in StudyFolder.open(studies, "overhead").ledger.trials.values()]


def fixed_cost(studies: Path, concurrency: int) -> float:
    from tune.study.folder import StudyFolder  # noqa: PLC0415
    from tune.study.history import read_history  # noqa: PLC0415

    study = StudyFolder.open(studies, "overhead")
    costs = []
    for trial in list(study.ledger.trials.values())[concurrency:]:
        epochs = read_history(study.checkpoint(trial.number, next(iter(trial.runs))))
        assert trial.ended is not None
        costs.append(trial.ended - trial.created - sum(report.seconds for report in epochs))
    return median(costs)


def check_runs(folder: Path, arguments: argparse.Namespace) -> None:
    """End the program where a peer has not done all of the work."""
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - takes two seconds

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'FINISHED'", max_results=50_000)
    epochs = {len(client.get_metric_history(run.info.run_id, "val_wf1")) for run in runs}
    if len(runs) != arguments.trials or epochs != {arguments.epochs}:
        raise SystemExit(
            f"{folder.name} must leave {arguments.trials} finished runs of {arguments.epochs} epochs, "
            f"left {len(runs)} of {sorted(epochs)}"
        )


if __name__ == "__main__":
    main()
