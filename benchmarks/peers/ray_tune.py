"""A search with Ray Tune by hand: OptunaSearch, MLflow's callback, a report and a checkpoint per epoch.

    python benchmarks/peers/ray_tune.py SHARDS OUT [--trials 32 --epochs 10 --concurrency 2]

Written as Ray's documentation has it, with its defaults where it names no other value.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import optuna
import ray
import torch
from ray import tune
from ray.tune.logger.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch
from training import metrics, parse_arguments, train_model

from dclf.training.reports import EpochReport

# The space that `dclf sweep` searches where none is given.
SPACE = {
    "loss.gamma_ca": tune.quniform(0, 1, 0.05),
    "loss.gamma_mc": tune.quniform(0, 1, 0.05),
    "loss.window": tune.randint(2, 21),
    "loss.temperature": tune.loguniform(0.02, 0.5),
}


class EpochLog:
    """Tells Ray Tune of every epoch, with a checkpoint."""

    def epoch(self, report: EpochReport, state: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state, Path(folder, "state.pt"))
            tune.report(metrics(report), checkpoint=tune.Checkpoint.from_directory(folder))


def train_trial(params: dict[str, Any], shards: str, epochs: int) -> None:
    train_model(shards, epochs, params, EpochLog())


def main() -> None:
    arguments = parse_arguments(__doc__)
    # Of its own: the default joins whatever Ray was last started on the machine.
    ray.init(address="local", num_cpus=arguments.concurrency)
    trainable = tune.with_parameters(train_trial, shards=arguments.shards, epochs=arguments.epochs)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            metric="val_wf1",
            mode="max",
            search_alg=OptunaSearch(sampler=optuna.samplers.RandomSampler(seed=0)),
            num_samples=arguments.trials,
            max_concurrent_trials=arguments.concurrency,
        ),
        run_config=tune.RunConfig(
            name="by-hand",
            storage_path=str(arguments.out),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{arguments.out}/mlflow.db", experiment_name="ray-tune-by-hand"
                )
            ],
        ),
    )
    results = tuner.fit()
    if results.errors:
        raise SystemExit(f"{len(results.errors)} trials failed, the first with {results.errors[0]}")
    best = results.get_best_result(scope="all").metrics_dataframe["val_wf1"].max()
    print(f"best validation WF1 {100 * best:.2f} of {len(results)} trials")


if __name__ == "__main__":
    main()
