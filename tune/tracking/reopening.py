"""Create a run, or open one again that has ended: the calls that need the store's answer at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tune.tracking.manners import manners
from tune.tracking.store import Store
from tune.tracking.trouble import TrackingError, UnknownRunError, cause_of, explained


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """A run that is RUNNING now.

    Attributes:
        run_id: MLflow's id.
        name: the run's name.
        params: parameters that it had already.
        metrics: metrics that it had, with the last value of each.
    """

    run_id: str
    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def create_run(store: Store, name: str, tags: Mapping[str, str]) -> OpenRun:
    """A new run.

    Raises:
        TrackingError: the store does not take it.
    """
    with manners():
        try:
            run = store.client.create_run(store.experiment_id, run_name=name, tags=dict(tags))
        except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
            raise TrackingError(f"MLflow at {store.name} does not take a new run ({cause_of(error)})") from None
    return OpenRun(run_id=run.info.run_id, name=run.info.run_name)


def reopen_run(store: Store, run_id: str, tags: Mapping[str, str]) -> OpenRun:
    """Set a run RUNNING again; one that was deleted in MLflow is brought back.

    Raises:
        UnknownRunError: the store has no such run.
        TrackingError: it does not answer.
    """
    run = stored_run(store, run_id)
    if run is None:
        raise UnknownRunError(f"MLflow at {store.name}: run {run_id} cannot be resumed (there is no such run)")
    with manners() as mlflow:
        try:
            if run.info.lifecycle_stage == "deleted":
                store.client.restore_run(run_id)
            entities = [mlflow.entities.RunTag(key, value) for key, value in tags.items()]
            store.client.log_batch(run_id, tags=entities, synchronous=True)
            store.client.update_run(run_id, status="RUNNING")
        except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
            raise TrackingError(f"MLflow at {store.name}: run {run_id} cannot be resumed ({cause_of(error)})") from None
    return OpenRun(run_id=run_id, name=run.info.run_name, params=run.data.params, metrics=run.data.metrics)


def stored_run(store: Store, run_id: str) -> Any | None:
    """MLflow's ``Run``, which may be a deleted one; None where the store has no such run.

    Raises:
        TrackingError: the store does not answer.
    """
    with explained(store.uri), manners() as mlflow:
        try:
            return store.client.get_run(run_id)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
