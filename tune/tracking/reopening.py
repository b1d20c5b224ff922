"""Create a run, or open one again that has ended: the two calls that need the store's answer at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tune.tracking.manners import manners
from tune.tracking.store import Store
from tune.tracking.trouble import TrackingError, cause_of


@dataclass(frozen=True, kw_only=True)
class Reopened:
    """A run that is RUNNING now, and what it held before.

    Attributes:
        run_id: MLflow's id.
        name: the run's name.
        params: recorded parameters.
        metrics: (metric, step) -> the value logged last.
    """

    run_id: str
    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[tuple[str, int], float] = field(default_factory=dict)


def create_run(store: Store, name: str, tags: Mapping[str, str]) -> Reopened:
    """A new run.

    Raises:
        TrackingError: the store does not take it.
    """
    with manners():
        try:
            run = store.client.create_run(store.experiment_id, run_name=name, tags=dict(tags))
        except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
            raise TrackingError(f"MLflow at {store.name} does not take a new run ({cause_of(error)})") from None
    return Reopened(run_id=run.info.run_id, name=run.info.run_name)


def reopen_run(store: Store, run_id: str, tags: Mapping[str, str]) -> Reopened:
    """Set a run RUNNING again, with all it has recorded.

    Raises:
        TrackingError: the store has no such run, or does not answer.
    """
    with manners():
        try:
            run = store.client.get_run(run_id)
            metrics = _histories(store.client, run)
            for key, value in tags.items():
                store.client.set_tag(run_id, key, value)
            store.client.update_run(run_id, status="RUNNING")
        except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
            raise TrackingError(f"MLflow at {store.name}: run {run_id} cannot be resumed ({cause_of(error)})") from None
    return Reopened(run_id=run_id, name=run.info.run_name, params=run.data.params, metrics=metrics)


def _histories(client: Any, run: Any) -> dict[tuple[str, int], float]:
    return {
        (key, point.step): point.value
        for key in run.data.metrics
        for point in sorted(client.get_metric_history(run.info.run_id, key), key=lambda point: point.timestamp)
    }
