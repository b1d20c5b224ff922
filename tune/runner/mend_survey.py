"""What MLflow holds of a study's runs, as far as mending asks.

MLflow's search builds every parameter and metric of every run, which takes 20 s for 5,000 trials; the tables of a
local SQLite store are therefore read directly, by a connection that cannot write.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from dclf.uris import sqlite_read_only
from tune.tracking.children import KIND_TAG, PARENT_TAG, SEED_TAG, STATE_TAG, STUDY_TAG, TRIAL_TAG, Key, find_runs
from tune.tracking.store import Store, sqlite_path
from tune.tracking.trouble import explained

TAGS = (KIND_TAG, PARENT_TAG, TRIAL_TAG, SEED_TAG, STATE_TAG)


@dataclass(frozen=True, kw_only=True)
class SeenRun:
    """A run as MLflow has it now.

    Attributes:
        run_id: MLflow's id.
        status: RUNNING, FINISHED, FAILED or KILLED.
        started: milliseconds since the epoch.
        tags: those of ``TAGS`` that it has.
        metrics: name -> last step and value, of the metrics that were asked for.
    """

    run_id: str
    status: str
    started: int
    tags: Mapping[str, str]
    metrics: Mapping[str, tuple[int, float]]

    @property
    def key(self) -> Key | None:
        """Trial and seed; None where the tags do not say."""
        try:
            return int(self.tags[TRIAL_TAG]), int(self.tags[SEED_TAG])
        except (KeyError, ValueError):
            return None


def survey(
    store: Store,
    study: str,
    metrics: Sequence[str],
    tags: Mapping[str, str] | None = None,
    *,
    unfinished: bool = False,
) -> list[SeenRun]:
    """The study's runs that are not deleted, the oldest first.

    Args:
        store: an open store.
        study: its name.
        metrics: names of metrics to look at.
        tags: only runs with these tags; for stores that are not local, to which every run costs.
        unfinished: only runs that are not FINISHED; likewise.

    Raises:
        TrackingError: the store does not answer.
    """
    if is_local(store):
        try:
            return _read(store, study, metrics)
        except sqlite3.Error:
            pass  # Another version's tables: MLflow knows them.
    with explained(store.uri):
        found = find_runs(store, study, tags, unfinished=unfinished)
    return [_seen(run, metrics) for run in found]


def is_local(store: Store) -> bool:
    """Whether looking at every run is cheap."""
    return sqlite_path(store.uri) is not None


def _seen(run: Any, metrics: Sequence[str]) -> SeenRun:
    return SeenRun(
        run_id=run.info.run_id,
        status=run.info.status,
        started=run.info.start_time,
        tags={tag: run.data.tags[tag] for tag in TAGS if tag in run.data.tags},
        # MLflow's own mapping of metrics leaves the steps out.
        metrics={m.key: (m.step, m.value) for m in run.data._metric_objs if m.key in metrics},
    )


_RUNS = """
    SELECT r.run_uuid, r.status, r.start_time FROM runs r JOIN tags s ON s.run_uuid = r.run_uuid
    WHERE s.key = ? AND s.value = ? AND r.experiment_id = ? AND r.lifecycle_stage = 'active'
    ORDER BY r.start_time, r.run_uuid
"""
_TAGS = """
    SELECT t.run_uuid, t.key, t.value FROM tags t JOIN tags s ON s.run_uuid = t.run_uuid
    WHERE s.key = ? AND s.value = ? AND t.key IN ({})
"""
_METRICS = """
    SELECT m.run_uuid, m.key, m.step, CASE WHEN m.is_nan THEN NULL ELSE m.value END
    FROM latest_metrics m JOIN tags s ON s.run_uuid = m.run_uuid
    WHERE s.key = ? AND s.value = ? AND m.key IN ({})
"""


def _read(store: Store, study: str, metrics: Sequence[str]) -> list[SeenRun]:
    whose = (STUDY_TAG, study)
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    values: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
    path = sqlite_path(store.uri)
    assert path is not None
    with closing(sqlite3.connect(sqlite_read_only(path), uri=True, timeout=30)) as file:
        for run_id, key, value in file.execute(_TAGS.format(_places(TAGS)), (*whose, *TAGS)):
            tags[run_id][key] = value
        for run_id, key, step, number in file.execute(_METRICS.format(_places(metrics)), (*whose, *metrics)):
            values[run_id][key] = step, float("nan") if number is None else number
        rows = file.execute(_RUNS, (*whose, int(store.experiment_id))).fetchall()
    return [
        SeenRun(run_id=run_id, status=status, started=started, tags=tags[run_id], metrics=values[run_id])
        for run_id, status, started in rows
    ]


def _places(items: Sequence[str]) -> str:
    return ", ".join("?" * len(items))
