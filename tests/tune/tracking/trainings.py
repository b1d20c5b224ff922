"""Trainings as MLflow has them, written by its client alone: a list of runs needs no training."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow

from tune.tracking.children import KIND_TAG, SEED_TAG, STATE_TAG, STUDY_TAG, TRIAL_TAG
from tune.tracking.ending import STATUS_TAG
from tune.tracking.store import connect

BEGAN_MS = 1_700_000_000_000
PARAMS = {"model.name": "mmgcn", "data.shards": "shards/tiny", "loss.ablate": "none", "loss.gamma_ca": "0.8"}


class Trainings:
    """An SQLite store with runs of an hour's distance each, which last ninety seconds.

    Args:
        folder: where it lies.
        empty_store: an SQLite file with MLflow's tables.
    """

    def __init__(self, folder: Path, empty_store: Path) -> None:
        self.uri = f"sqlite:///{shutil.copy(empty_store, folder / 'mlflow.db')}"
        self._store = connect(self.uri, "dclf")
        self._count = 0

    def add(
        self,
        name: str,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        seed: int = 1,
        status: str = "FINISHED",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """The id of a new run of ``dclf train``."""
        client, began = self._store.client, BEGAN_MS + 3_600_000 * self._count
        self._count += 1
        own = {STATUS_TAG: status.lower(), "seed": str(seed), **(tags or {})}
        run_id: str = client.create_run(self._store.experiment_id, began, own, name).info.run_id
        entities = mlflow.entities
        client.log_batch(
            run_id,
            metrics=[entities.Metric(key, value, began, 0) for key, value in (metrics or {}).items()],
            params=[
                entities.Param(key, str(value))
                for key, value in {**PARAMS, "train.seed": seed, **(params or {})}.items()
            ],
        )
        if status != "RUNNING":
            client.set_terminated(run_id, status, began + 90_000)
        return run_id

    def add_trial(
        self, study: str, number: int, metrics: Mapping[str, float], seed: int = 1, state: str = "complete", **more: Any
    ) -> str:
        """The id of a new training of a study."""
        tags = {KIND_TAG: "trial", STUDY_TAG: study, TRIAL_TAG: str(number), SEED_TAG: str(seed), STATE_TAG: state}
        return self.add(f"{study}-{number}-seed{seed}", metrics, seed=seed, tags=tags, **more)

    def add_parent(self, study: str) -> str:
        """The id of the run that the trainings of a study have above them."""
        return self.add(study, tags={KIND_TAG: "sweep", STUDY_TAG: study})

    def add_foreign(self) -> None:
        """A run that this project did not make."""
        self._store.client.create_run(self._store.experiment_id, run_name="foreign")
