"""The child runs of a study: finding them by their tags, opening each once, and sending to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tune.tracking.manners import manners
from tune.tracking.reopening import OpenRun, create_run, reopen_run
from tune.tracking.store import Store
from tune.tracking.trouble import UnknownRunError
from tune.tracking.writes import Sender, Write

STUDY_TAG, TRIAL_TAG, SEED_TAG = "dclf.study", "dclf.trial", "dclf.seed"
STATE_TAG, KIND_TAG, PARENT_TAG = "dclf.state", "dclf.kind", "mlflow.parentRunId"
_PAGE = 1000

Key = tuple[int, int]
"""Trial number and seed."""


def find_runs(store: Store, study: str, tags: Mapping[str, str] | None = None) -> list[Any]:
    """The study's runs with these tags, the oldest first, as MLflow's ``Run`` objects; deleted ones are left out.

    Args:
        store: an open store.
        study: its name.
        tags: further tags.
    """
    return list(each_run(store, study, tags))


def tagged(tags: Mapping[str, str]) -> str:
    """Return the condition, in MLflow's filter language, of runs with these tags; values have no quotes."""
    return " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())


def is_training(tags: Mapping[str, str]) -> bool:
    """Whether the run with these tags is one training, and not a whole study."""
    return KIND_TAG not in tags or TRIAL_TAG in tags


def each_run(store: Store, study: str, tags: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Give the same runs one after the other; a thousand at a time are in memory."""
    all_tags = {STUDY_TAG: study, **(tags or {})}
    token: str | None = ""
    while token is not None:
        with manners():
            page = store.client.search_runs(
                [store.experiment_id],
                tagged(all_tags),
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
        yield from page
        token = page.token or None


class Children:
    """Sends writes to child runs; used by one thread.

    Args:
        store: an open store.
        study: its name.
        opened: hears the number of a trial, a seed, and the MLflow run that they have.
    """

    def __init__(self, store: Store, study: str, opened: Callable[[int, int, str], None]) -> None:
        self._store = store
        self._study = study
        self._opened = opened
        self._runs: dict[Key, str] = {}
        self._tried: set[Key] = set()

    def open(self, key: Key, name: str, tags: Mapping[str, str], run_id: str, *, look: bool) -> OpenRun:
        """Create the run of a trial and seed, or take it up again, even where it was deleted in MLflow.

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
        run = self._taken_up(run_id, tags) if run_id else None
        if run is None and (run_id or look) and (oldest := self._oldest(tags)):
            run = reopen_run(self._store, oldest, tags)
        if run is None:
            run = create_run(self._store, name, tags)
        self._runs[key] = run.run_id
        self._opened(*key, run.run_id)
        return run

    def adopt(self, key: Key, run_id: str) -> None:
        """Send to an ended run that stays as it is."""
        if run_id:
            self._runs[key] = run_id

    def send(self, key: Key, write: Write) -> None:
        """Send a write to the run of a trial and seed.

        Nothing happens where the run could not be opened, which was told then.
        """
        if (run_id := self._runs.get(key)) is not None:
            Sender(self._store.client, run_id, self._store.experiment_id)(write)

    def _taken_up(self, run_id: str, tags: Mapping[str, str]) -> OpenRun | None:
        """The run, or None where it is gone."""
        try:
            return reopen_run(self._store, run_id, tags)
        except UnknownRunError:
            return None

    def _oldest(self, tags: Mapping[str, str]) -> str:
        """The first run of a training, by its tags; empty where there is none."""
        runs = find_runs(self._store, self._study, {tag: tags[tag] for tag in (PARENT_TAG, TRIAL_TAG, SEED_TAG)})
        return runs[0].info.run_id if runs else ""
