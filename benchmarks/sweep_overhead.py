"""What a sweep costs beyond its trainings: short trials as a sweep, and the same trainings in two plain processes.

    python benchmarks/sweep_overhead.py [--trials 32 --epochs 10 --repeats 1]

The sweep and the plain processes take turns, and minutes of a shared machine differ by a tenth and more: with several
repeats the last row sets the time of all sweeps against that of all plain processes.

Data are the generator's small preset. The sweep runs as a user starts it, `dclf sweep` with random search, no pruning
and two trials at a time: starting Ray, reading the data, MLflow in a fresh SQLite file and the report are in its time.
The plain processes know neither Ray, Optuna nor MLflow: each trains half of the sweep's configurations one after the
other with `dclf.training.loop.train`, on one thread. Both sides pay their imports. A trial's fixed cost is the time
from its creation to its end that is not spent in epochs, in the sweep, after the first two trials.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from matmul_rate import matmul_rate

BAR, FIXED_BAR_S = 1.25, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--half", nargs=3, metavar=("SHARDS", "EPOCHS", "PARAMS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.half:
        train_half(*arguments.half)
        return
    print(f"1024-cubed product: {matmul_rate():.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}\n")
    print("| sweep s | plain s | ratio | bar | fixed cost of a trial s | bar s |\n|---|---|---|---|---|---|")
    measured = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory(prefix="dclf-overhead-") as folder:
            measured.append(measure(Path(folder), arguments.trials, arguments.epochs))
            print(row(*measured[-1]), flush=True)
    if len(measured) > 1:
        sweeps, plains, fixed = zip(*measured, strict=True)
        print(row(sum(sweeps), sum(plains), median(fixed)))


def row(sweep_s: float, plain_s: float, fixed_s: float) -> str:
    return f"| {sweep_s:.1f} | {plain_s:.1f} | {sweep_s / plain_s:.2f} | {BAR} | {fixed_s:.2f} | {FIXED_BAR_S} |"


def measure(folder: Path, trials: int, epochs: int) -> tuple[float, float, float]:
    """Seconds of the sweep, of the plain processes, and a trial's fixed cost."""
    shards = folder / "shards"
    dclf("data", "generate", str(shards), "--preset", "iemocap-small")
    started = time.perf_counter()
    dclf(
        *("sweep", "iemocap", "--data.shards", str(shards), "--name", "overhead"),
        *("--trials", str(trials), "--train.epochs", str(epochs), "--sampler", "random", "--scheduler", "none"),
        *("--concurrency", "2", "--storage", str(folder / "studies"), "--quiet"),
        *("--track.uri", f"sqlite:///{folder}/mlflow.db"),
    )
    sweep_s = time.perf_counter() - started
    params = trial_params(folder / "studies")
    started = time.perf_counter()
    halves = [
        subprocess.Popen([sys.executable, __file__, "--half", str(shards), str(epochs), json.dumps(params[half::2])])
        for half in (0, 1)
    ]
    codes = [half.wait() for half in halves]
    assert not any(codes), codes
    plain_s = time.perf_counter() - started
    return sweep_s, plain_s, fixed_cost(folder / "studies")


def trial_params(studies: Path) -> list[dict[str, object]]:
    from tune.study.folder import StudyFolder  # noqa: PLC0415 - the plain processes import no such thing

    return [dict(trial.params) for trial in StudyFolder.open(studies, "overhead").ledger.trials.values()]


def fixed_cost(studies: Path) -> float:
    from tune.study.folder import StudyFolder  # noqa: PLC0415
    from tune.study.history import read_history  # noqa: PLC0415

    study = StudyFolder.open(studies, "overhead")
    costs = []
    for trial in list(study.ledger.trials.values())[2:]:
        epochs = read_history(study.checkpoint(trial.number, next(iter(trial.runs))))
        assert trial.ended is not None
        costs.append(trial.ended - trial.created - sum(report.seconds for report in epochs))
    return median(costs)


def train_half(shards: str, epochs: str, params: str) -> None:
    import torch  # noqa: PLC0415

    from dclf.data import read_shards  # noqa: PLC0415
    from dclf.training.local import LocalSource  # noqa: PLC0415
    from dclf.training.loop import train  # noqa: PLC0415
    from tune.config.overrides import apply  # noqa: PLC0415
    from tune.config.settings import load_config  # noqa: PLC0415

    torch.set_num_threads(1)
    base = load_config("iemocap", {"data.shards": shards})
    base = replace(base, train=replace(base.train, epochs=int(epochs)))
    data = read_shards(shards)
    for changed in json.loads(params):
        train(apply(base, changed), LocalSource(data, base.data.modalities), data, score=())


def dclf(*words: str) -> None:
    subprocess.run([Path(sys.executable).with_name("dclf"), *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
