"""Addresses of pages of MLflow's UI, behind that of the server."""

from __future__ import annotations

from urllib.parse import urlencode

from dclf.config import TrackConfig
from tune.tracking.find import list_runs, recorded_run
from tune.tracking.manners import manners
from tune.tracking.store import connect, open_client
from tune.tracking.trouble import explained
from tune.tracking.view import VIEW, offer_view

EXPERIMENT = TrackConfig.experiment
"""Where runs go unless ``track.experiment`` says otherwise."""
_TRAINING = {"workflowType": "machine_learning"}
"""By itself MLflow shows pages for language models."""
EVERYTHING = f"/#/experiments?{urlencode(_TRAINING)}"
"""The list of experiments."""


def page_of(uri: str, ref: str = "", experiment: str = "") -> str:
    """Return the page of a run or study, or the table of an experiment's runs with the scores that rank them.

    Args:
        uri: of the store, from ``tune.tracking.store.resolve_tracking_uri``.
        ref: a run's id, the beginning of one, or the name of a run or study; empty for the table.
        experiment: look in this experiment only; empty for all of them, and the table of the latest run's.

    Raises:
        UnknownRunError: no run or several of them match.
        TrackingError: the store does not answer, or has no such experiment.
    """
    if ref:
        run = recorded_run(uri, ref, experiment or None)
        return f"/#/experiments/{run.experiment_id}/runs/{run.run_id}?{urlencode(_TRAINING)}"
    latest = list_runs(uri, experiment or None, limit=1)
    experiments = [run.experiment_id for run in latest] or [connect(uri, experiment or EXPERIMENT).experiment_id]
    return _table(uri, experiments[0])


def _table(uri: str, experiment_id: str) -> str:
    client = open_client(uri)
    with explained(uri), manners():
        view = {"viewStateShareKey": VIEW} if offer_view(client, client.get_experiment(experiment_id)) else {}
    return f"/#/experiments/{experiment_id}/runs?{urlencode({**_TRAINING, **view})}"
