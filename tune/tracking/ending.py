"""Close the runs of a driver that is gone."""

from __future__ import annotations

from tune.tracking.manners import manners
from tune.tracking.store import open_client

DRIVER_TAG = "dclf.driver"
"""Names the driver that works on the run now; a resumed run has another one."""

STATUS_TAG = "dclf.status"
_AT_ONCE = 100


def end_running(uri: str, experiment_id: str, token: str, reason: str) -> None:
    """Mark every run KILLED that a driver left running, unless it has ended or another driver has taken it up.

    Args:
        uri: of the store.
        experiment_id: the driver's experiment.
        token: value of the runs' ``DRIVER_TAG``.
        reason: for the status tag.

    Raises:
        TrackingError: the store does not answer.
    """
    client = open_client(uri)
    mine = f"tags.`{DRIVER_TAG}` = '{token}' AND attributes.status = 'RUNNING'"
    with manners():
        while runs := client.search_runs([experiment_id], mine, max_results=_AT_ONCE):
            for run in runs:
                client.set_tag(run.info.run_id, STATUS_TAG, reason)
                client.set_terminated(run.info.run_id, "KILLED")
