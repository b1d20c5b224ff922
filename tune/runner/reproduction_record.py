"""The page of a reproduction as a run of its own in MLflow, beside the runs of its studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tune.tracking import writes
from tune.tracking.children import KIND_TAG, STUDY_TAG, find_runs
from tune.tracking.manners import manners
from tune.tracking.reopening import create_run
from tune.tracking.store import connect, resolve_tracking_uri
from tune.tracking.trouble import explained
from tune.tracking.writes import Sender

KIND = "reproduction"


def record_page(
    uri: str,
    experiment: str,
    name: str,
    *,
    note: str,
    params: Mapping[str, object],
    files: Mapping[str, Iterable[Path]],
) -> str:
    """Write the page to its run, which is made where there is none of that name; the run's id.

    Args:
        uri: as ``track.uri``.
        experiment: as ``track.experiment``.
        name: of the run.
        note: the text on the run's page.
        params: what was run.
        files: folder among the artifacts -> files, over earlier ones.

    Raises:
        TrackingError: the store does not answer or does not take them.
    """
    store = connect(resolve_tracking_uri(uri), experiment)
    with explained(store.uri), manners():
        runs = find_runs(store, name, {KIND_TAG: KIND})
        run_id = runs[0].info.run_id if runs else create_run(store, name, {STUDY_TAG: name, KIND_TAG: KIND}).run_id
        recorded = runs[0].data.params if runs else {}
        send = Sender(store.client, run_id, store.experiment_id)
        for write in (
            *writes.text_values("params", {key: value for key, value in params.items() if key not in recorded}),
            *writes.text_values("tags", {"mlflow.note.content": note}),
            *(writes.artifact(file, folder) for folder, group in files.items() for file in group),
            writes.status("FINISHED"),
        ):
            send(write)
    return run_id
