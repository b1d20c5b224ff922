"""A search with Optuna and MLflow by hand: processes that share one journal, a run per trial, metrics per epoch.

    python benchmarks/peers/optuna_processes.py SHARDS OUT [--trials 32 --epochs 10 --concurrency 2]

Written as the documentation of both has it. Each process does its share of the trials.
"""

from __future__ import annotations

import argparse
import multiprocessing
from typing import Any

import mlflow
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from training import metrics, parse_arguments, train_model

from dclf.training.reports import EpochReport


class EpochLog:
    """Tells Optuna and MLflow's active run of every epoch."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.best = 0.0

    def epoch(self, report: EpochReport, _: dict[str, Any]) -> None:
        mlflow.log_metrics(metrics(report), step=report.epoch)
        self.trial.report(report.validation["wf1"], report.epoch)
        self.best = report.best_wf1


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Return values from the space that `dclf sweep` searches where none is given."""
    return {
        "loss.gamma_ca": trial.suggest_float("loss.gamma_ca", 0, 1, step=0.05),
        "loss.gamma_mc": trial.suggest_float("loss.gamma_mc", 0, 1, step=0.05),
        "loss.window": trial.suggest_int("loss.window", 2, 20),
        "loss.temperature": trial.suggest_float("loss.temperature", 0.02, 0.5, log=True),
    }


def objective(trial: optuna.Trial, shards: str, epochs: int) -> float:
    with mlflow.start_run(run_name=f"trial-{trial.number}"):
        params = suggest(trial)
        mlflow.log_params(params)
        log = EpochLog(trial)
        train_model(shards, epochs, params, log)
        mlflow.log_metric("best_val_wf1", log.best)
        return log.best


def open_study(arguments: argparse.Namespace, seed: int) -> optuna.Study:
    """Return the study, and have MLflow write to its experiment; both are created where they are absent."""
    mlflow.set_tracking_uri(f"sqlite:///{arguments.out}/mlflow.db")
    mlflow.set_experiment("optuna-by-hand")
    return optuna.create_study(
        study_name="by-hand",
        storage=JournalStorage(JournalFileBackend(f"{arguments.out}/optuna.log")),
        sampler=optuna.samplers.RandomSampler(seed=seed),
        direction="maximize",
        load_if_exists=True,
    )


def work(arguments: argparse.Namespace, seed: int, trials: int) -> None:
    """Run some of the trials; each process draws with a seed of its own."""
    study = open_study(arguments, seed)
    study.optimize(lambda trial: objective(trial, arguments.shards, arguments.epochs), n_trials=trials)


def main() -> None:
    arguments = parse_arguments(__doc__)
    # Before the processes start: two that create MLflow's tables at a time get in each other's way.
    study = open_study(arguments, seed=0)
    # Connections to SQLite and torch's threads do not outlive a fork.
    context = multiprocessing.get_context("spawn")
    shares = [len(range(first, arguments.trials, arguments.concurrency)) for first in range(arguments.concurrency)]
    processes = [context.Process(target=work, args=(arguments, seed, trials)) for seed, trials in enumerate(shares)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(1)
    print(f"best validation WF1 {100 * study.best_value:.2f} of {len(study.trials)} trials")


if __name__ == "__main__":
    main()
