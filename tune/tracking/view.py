"""The view in which MLflow's UI shows the runs of an experiment: with the scores by which runs are ranked.

MLflow's table of runs shows no metric until somebody chooses columns, and keeps that choice in the browser. What an
address can name is a view that somebody has saved, which MLflow keeps in a tag of the experiment. Ours is saved by
whatever opens the experiment, in the form that MLflow 3.17 writes and reads; its menu "Views" lists it.
"""

from __future__ import annotations

import json
from typing import Any

from tune.tracking.manners import manners

VIEW = "dclf"
"""The view's key, as an address names it."""
COLUMNS = ("best/val_wf1", "test/wf1", "test/gain_wf1", "test/shift/wf1", "test/no_shift/wf1", "best/epoch")
"""Metrics, each a column."""
_TAG = f"mlflow.sharedViewState.{VIEW}"
_SAVED_MS = 1_700_000_000_000
"""When it was saved, which MLflow wants to know: always the same, so that the tag is."""


def view_tags() -> dict[str, str]:
    """Return the view as a tag of an experiment."""
    columns = [f"metrics.`{name}`" for name in COLUMNS]
    state = {"selectedColumns": columns, "columnOrder": columns}
    view = {"name": "DCLF", "createdAt": _SAVED_MS, "updatedAt": _SAVED_MS, "state": json.dumps(state)}
    return {_TAG: json.dumps(view)}


def offer_view(client: Any, experiment: Any) -> bool:
    """Save the view in an experiment that lacks it, or has that of another version.

    Args:
        client: an ``mlflow.MlflowClient``.
        experiment: MLflow's ``Experiment``.

    Returns:
        whether the experiment has it now: who may only read a server's experiments does without.
    """
    with manners() as mlflow:
        for tag, value in view_tags().items():
            if experiment.tags.get(tag) != value:
                try:
                    client.set_experiment_tag(experiment.experiment_id, tag, value)
                except mlflow.exceptions.MlflowException:
                    return False
    return True
