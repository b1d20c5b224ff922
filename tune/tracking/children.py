"""The child runs of a study: finding them by their tags, opening each once, and sending them what is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune.tracking.manners import manners
from tune.tracking.reopening import create_run, reopen_run
from tune.tracking.store import Store
from tune.tracking.writes import Sender, Write

STUDY_TAG, TRIAL_TAG, SEED_TAG = "dclf.study", "dclf.trial", "dclf.seed"
STATE_TAG, KIND_TAG, PARENT_TAG = "dclf.state", "dclf.kind", "mlflow.parentRunId"
_PAGE = 1000

Key = tuple[int, int]
"""Trial number and seed."""


def find_runs(
    store: Store, study: str, tags: Mapping[str, str] | None = None, *, unfinished: bool = False
) -> list[Any]:
    """The study's runs with these tags, the oldest first, as MLflow's ``Run`` objects; deleted ones are left out.

    Args:
        store: an open store.
        study: its name.
        tags: further tags.
        unfinished: only runs that are not FINISHED.
    """
    wanted = {STUDY_TAG: study, **(tags or {})}
    condition = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items())
    if unfinished:
        condition += " AND attributes.status != 'FINISHED'"
    found: list[Any] = []
    token: str | None = None
    with manners():
        while True:
            page = store.client.search_runs(
                [store.experiment_id],
                condition,
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found


@dataclass
class _Child:
    """A child run as far as this driver knows it."""

    run_id: str
    metrics: set[tuple[str, int]] = field(default_factory=set)


class Children:
    """Sends writes to child runs; used by one thread.

    Args:
        store: an open store.
        study: its name.
        opened: hears which MLflow run a trial and seed have.
    """

    def __init__(self, store: Store, study: str, opened: Callable[[Key, str], None]) -> None:
        self._store = store
        self._study = study
        self._opened = opened
        self._known: dict[Key, _Child] = {}
        self._tried: set[Key] = set()

    def open(self, key: Key, name: str, tags: Mapping[str, str], run_id: str, *, look: bool) -> None:
        """Create the run of a trial and seed, or take it up again.

        Args:
            key: trial and seed.
            name: of a new run.
            tags: of the run from now on.
            run_id: the run that the ledger names; empty where it names none.
            look: whether an earlier driver may have created a run that the ledger does not know.

        Raises:
            TrackingError: the store does not answer.
        """
        look = look or key in self._tried
        self._tried.add(key)
        if not run_id and look:
            found = find_runs(self._store, self._study, {tag: tags[tag] for tag in (PARENT_TAG, TRIAL_TAG, SEED_TAG)})
            run_id = found[0].info.run_id if found else ""
        known = reopen_run(self._store, run_id, tags) if run_id else create_run(self._store, name, tags)
        self._known[key] = _Child(known.run_id, set(known.metrics))
        self._opened(key, known.run_id)

    def adopt(self, key: Key, run_id: str) -> None:
        """Send to an ended run that stays as it is."""
        if run_id:
            self._known[key] = _Child(run_id)

    def send(self, key: Key, write: Write) -> None:
        """Send a write to the run of a trial and seed; metrics that it has already are left out.

        Nothing happens where the run could not be opened, which was told then.
        """
        child = self._known.get(key)
        if child is None:
            return
        new: set[tuple[str, int]] = set()
        if write.kind in ("metrics", "history"):
            told = [write.body] if write.kind == "metrics" else write.body["steps"]
            steps = [_unsaid(step, child.metrics, new) for step in told]
            write = Write("history", {"steps": steps, "tags": write.body.get("tags", {})})
        Sender(self._store.client, child.run_id, self._store.experiment_id)(write)
        child.metrics |= new


def _unsaid(step: Mapping[str, Any], known: set[tuple[str, int]], new: set[tuple[str, int]]) -> dict[str, Any]:
    """The metrics of a step that are neither known nor new; they are new from then on."""
    number = step["step"]
    said = {name for name in step["values"] if (name, number) in known or (name, number) in new}
    values = {name: value for name, value in step["values"].items() if name not in said}
    new |= {(name, number) for name in values}
    return {**step, "values": values}
