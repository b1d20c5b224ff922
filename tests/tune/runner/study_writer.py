"""A study of four trials, written to ledger and MLflow in the driver's order, and cut off anywhere.

The driver's thread writes the ledger; a second thread sends to MLflow what the first has put in a queue, and
tells the ledger which runs it made. A kill leaves any beginning of the first, and any beginning of its queue.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.tune.runner import sessions
from tests.tune.runner.sessions import SPACE
from tests.tune.tracking.samples import epoch
from tune.runner import child_writes
from tune.runner.doctor import Doctor
from tune.runner.optuna_study import load_study
from tune.runner.replay import Replay
from tune.search.space import Space
from tune.study.definition import StudyDefinition, child_name
from tune.study.folder import StudyFolder
from tune.study.history import write_history
from tune.study.ledger import ENDED
from tune.study.parent import PARENT_NOTE, parent_id
from tune.tracking import records
from tune.tracking.children import KIND_TAG, SEED_TAG, STATE_TAG, STUDY_TAG, TRIAL_TAG, Children, Key, find_runs
from tune.tracking.reopening import create_run
from tune.tracking.store import Store
from tune.tracking.writes import Sender, status

EPOCHS = 3
SEED = 4


class Killed(BaseException):
    """The process ends here."""


def definition(uri: str, name: str = "gammas", **settings: Any) -> StudyDefinition:
    return sessions.definition(name, uri, epochs=EPOCHS, seed=SEED, **{"sampler": "tpe", **settings})


@dataclass
class Writer:
    """Writes a study.

    Attributes:
        storage: folder of studies.
        store: where it is recorded.
        queue: what waits for being sent.
    """

    storage: Path
    store: Store
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = "gammas"
    queue: list[Callable[[], None]] = field(default_factory=list)
    torn: bool = False

    def __post_init__(self) -> None:
        study = definition(self.store.uri, self.name, **self.settings)
        self.folder = StudyFolder.create(self.storage, study)
        self.ledger = self.folder.ledger
        self.children = Children(self.store, study.name, self._note)
        self._seeds = range(SEED, SEED + study.sweep.seeds)

    def write(self, steps: int | None = None, sends: int | None = None, *, torn: bool = False) -> StudyFolder:
        """So many steps of the driver's thread, then so many of its queue; all where None.

        Args:
            steps: of the driver's thread.
            sends: of the queue.
            torn: the kill falls between the last run's creation and the ledger's line on it.
        """
        for _ in zip(range(10_000 if steps is None else steps), self.driver(), strict=False):
            pass
        waiting = self.queue[: None if sends is None else sends]
        for place, send in enumerate(waiting):
            self.torn = torn and place == len(waiting) - 1
            try:
                send()
            except Killed:
                break
        return StudyFolder.open(self.storage, self.name)

    def driver(self) -> Iterator[None]:
        """Every step ends where a kill may fall."""
        study = load_study(self.folder)
        yield
        run = create_run(self.store, self.name, {STUDY_TAG: self.name, KIND_TAG: "sweep"})
        yield
        self.ledger.note(PARENT_NOTE, run_id=run.run_id, store=self.store.name)
        yield
        for ending, epochs in (("complete", EPOCHS), ("pruned", 1), ("failed", 2), ("", 1)):
            optuna_trial = study.ask()
            yield
            params = Space.of(SPACE).suggest(optuna_trial)
            yield
            number = self.ledger.create(params, optuna=optuna_trial.number).number
            yield
            for seed in self._seeds:
                yield from self._training(number, seed, epochs, ending)
            if ending:
                value = self.ledger.trials[number].runs[SEED].values if ending != "failed" else ()
                self.ledger.end(number, ending, value, "no reason" if ending != "complete" else "")
                yield
                for seed in self._seeds:
                    self._queue((number, seed), child_writes.end_writes(self.ledger.trials[number]))
                yield
        if not any(trial.state not in ENDED for trial in self.ledger.trials.values()):
            self.queue.append(partial(Sender(self.store.client, run.run_id, ""), status("FINISHED")))

    def _training(self, number: int, seed: int, epochs: int, ending: str) -> Iterator[None]:
        key, trial = (number, seed), self.ledger.trials[number]
        tags = child_writes.child_tags(self.folder.definition, parent_id(self.folder) or "", *key)
        name = child_name(self.folder.definition, trial, seed)
        self.queue.append(partial(self.children.open, key, name, tags, "", look=False))
        self._queue(key, child_writes.start_writes(trial, seed, self.folder.definition.base, {}))
        self.ledger.start(number, seed)
        yield
        history = [epoch(place, EPOCHS) for place in range(1, epochs + 1)]
        place = self.folder.checkpoint(number, seed)
        for report in history:
            write_history(place, history[: report.epoch])
            (place / "state.pt").write_bytes(b"weights")
            yield
            self._queue(key, [records.epoch_write(report)])
        if ending in ("complete", "pruned"):
            values = (history[-1].validation["wf1"] + seed / 1000,)
            self.ledger.seed_done(number, seed, values, epochs)
            yield
        if ending == "complete":
            self._queue(key, [child_writes.seed_write(["wf1"], values, history[-1])])

    def _queue(self, key: Key, items: list[Any]) -> None:
        self.queue += [partial(self.children.send, key, item) for item in items]

    def _note(self, number: int, seed: int, run_id: str) -> None:
        if self.torn:
            raise Killed
        self.ledger.run(number, seed, run_id)


def check(folder: StudyFolder, store: Store) -> None:
    """Ledger and MLflow agree, by MLflow's own account; nothing is left running."""
    runs = find_runs(store, folder.definition.name)
    assert "RUNNING" not in {run.info.status for run in runs}
    tagged = [run for run in runs if TRIAL_TAG in run.data.tags]
    children = {(int(run.data.tags[TRIAL_TAG]), int(run.data.tags[SEED_TAG])): run for run in tagged}
    assert len(children) == len(tagged), "two runs of one training"
    for trial in folder.ledger.trials.values():
        mine = {seed: run for (number, seed), run in children.items() if number == trial.number}
        run_ids = {seed: run.run_id for seed, run in trial.runs.items() if run.run_id}
        assert {seed: run.info.run_id for seed, run in mine.items()} == run_ids
        if trial.state not in ENDED:
            assert {run.info.status for run in mine.values()} <= {"KILLED"}
            continue
        assert {run.info.status for run in mine.values()} == {"FAILED" if trial.state == "failed" else "FINISHED"}
        assert {run.data.tags[STATE_TAG] for run in mine.values()} == {trial.state}
        for seed, done in trial.runs.items():
            _check_training(store, mine[seed], done.values, done.epochs, complete=trial.state == "complete")


def _check_training(store: Store, run: Any, values: tuple[float, ...], epochs: int, *, complete: bool) -> None:
    for key in ("epoch_seconds", "loss/total", "val/wf1") if values else ():
        points = store.client.get_metric_history(run.info.run_id, key)
        assert sorted(point.step for point in points) == list(range(1, epochs + 1))
    if complete:
        assert run.data.metrics["objective/wf1"] == values[0]


def points(store: Store, study: str) -> dict[tuple[str, str], list[tuple[int, int, float]]]:
    """(run, metric) -> every point as MLflow tells it: step, time and value."""
    return {
        (run.info.run_id, key): sorted(
            (point.step, point.timestamp, point.value)
            for point in store.client.get_metric_history(run.info.run_id, key)
        )
        for run in find_runs(store, study)
        for key in run.data.metrics
    }


def replay_all(folder: StudyFolder, store: Store) -> None:
    """Send everything of every training."""
    replay = Replay(folder, store)
    for trial in folder.ledger.trials.values():
        for seed in trial.runs:
            replay.training(trial.number, seed)


def healthy(storage: Path, name: str = "gammas") -> bool:
    """Whether a doctor who only looks finds nothing."""
    return Doctor(storage).look(name).agrees
