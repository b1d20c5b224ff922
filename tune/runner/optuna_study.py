"""Optuna's study of a study: always made from the ledger, in memory for who reads, in a journal for a driver.

The journal (``optuna.log`` in the study's folder) is written anew whenever a driver starts, and by Optuna itself from
then on, so that optuna-dashboard can show it while the sweep runs. Nobody reads it back: whatever a sampler or a pruner
needs after a kill is in the ledger too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from dclf.data.storage import is_remote
from dclf.whole_files import whole
from tune.runner.warm_start import earlier_trials
from tune.search.optuna_log import quiet_optuna
from tune.search.samplers import exhausted
from tune.search.space import Space
from tune.study.folder import StudyFolder
from tune.study.history import read_history
from tune.study.ledger import ENDED, State, TrialRecord
from tune.study.scores import objective_curve

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

JOURNAL = "optuna.log"
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def load_study(folder: StudyFolder) -> optuna.Study:
    """Return Optuna's study in memory, as of now.

    Raises:
        ValueError: the study's space cannot express the values of a trial.
    """
    return study_in(InMemoryStorage(), folder)


def storage_to_look_at(folder: StudyFolder) -> tuple[BaseStorage, bool]:
    """Return Optuna's storage of a study for who only reads, and whether it follows the driver.

    That of the journal follows it. Where there is none, as at a URI, the storage holds the study as of now.

    Raises:
        ValueError: as ``load_study``.
    """
    journal = folder.path / JOURNAL
    if journal.is_file() and not is_remote(folder.storage):
        return JournalStorage(JournalFileBackend(str(journal))), True
    memory = InMemoryStorage()
    study_in(memory, folder)
    return memory, False


def study_in(storage: BaseStorage, folder: StudyFolder, *, unfinished: TrialState = TrialState.RUNNING) -> optuna.Study:
    """Add Optuna's study to a storage that has no other, and return it.

    Args:
        storage: without studies, since attributes of a study refer to its trials by their places in the storage.
        folder: the study; its trials have in Optuna the numbers that the ledger says.
        unfinished: state of the trials that have not ended.

    Raises:
        ValueError: the study's space cannot express the values of a trial.
    """
    definition = folder.definition
    directions = [StudyDirection[direction.upper()] for direction in definition.sweep.objectives.values()]
    with quiet_optuna():
        study = optuna.create_study(storage=storage, study_name=definition.name, directions=directions)
    study_id = storage.get_study_id_from_name(definition.name)
    for key, value in folder.ledger.study_attrs.items():
        storage.set_study_system_attr(study_id, key, value)
    study.add_trials(_trials(folder, unfinished))
    return study


def _trials(folder: StudyFolder, unfinished: TrialState) -> list[FrozenTrial]:
    """All trials in the order of Optuna's numbers; those of earlier studies have the numbers that the ledger leaves."""
    space = Space.of(folder.definition.space, folder.definition.base)
    curves = _Curves(folder)
    own = {
        trial.optuna: frozen_trial(space, trial, curves.of(trial), unfinished)
        for trial in folder.ledger.trials.values()
        if trial.optuna >= 0
    }
    others = iter(earlier_trials(folder, space))
    # Versions before left out numbers of trials that were asked for and never ran.
    nothing = create_trial(state=TrialState.FAIL)
    trials = [own.get(number) or next(others, nothing) for number in range(max(own, default=-1) + 1)]
    return [*trials, *others]


def frozen_trial(
    space: Space, trial: TrialRecord, curve: Mapping[int, float], unfinished: TrialState = TrialState.RUNNING
) -> FrozenTrial:
    """Return a trial of a ledger as Optuna holds it.

    Args:
        space: of its study.
        trial: from the ledger.
        curve: epoch -> what Optuna was told of it.
        unfinished: its state where it has not ended.

    Raises:
        ValueError: the space cannot express its values.
    """
    params = space.params_of(trial.params)
    frozen = create_trial(
        state=_STATES.get(trial.state, unfinished),
        values=_values(trial, curve),
        params=params,
        distributions={key: space.domains[key].distribution for key in params},
        system_attrs=dict(trial.system_attrs),
        intermediate_values=dict(curve),
    )
    if frozen.state != TrialState.WAITING:
        frozen.datetime_start = datetime.fromtimestamp(trial.created)
    if trial.state in ENDED:
        frozen.datetime_complete = datetime.fromtimestamp(trial.ended or trial.created)
    return frozen


def _values(trial: TrialRecord, curve: Mapping[int, float]) -> list[float] | None:
    if trial.state == "complete":
        return list(trial.values)
    # Optuna values a pruned trial by its last epoch.
    last = curve[max(curve)] if curve else math.nan
    return None if trial.state != "pruned" or math.isnan(last) else [last]


class _Curves:
    """What Optuna was told of the epochs of the study's trials."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._seed = folder.definition.base.train.seed
        self._objectives = list(folder.definition.sweep.objectives)

    def of(self, trial: TrialRecord) -> dict[int, float]:
        """Epoch -> the objective at the best epoch so far; empty with several objectives."""
        if trial.curve is not None:
            return {epoch: value for epoch, value in enumerate(trial.curve, start=1) if value is not None}
        if len(self._objectives) > 1:
            return {}
        history = read_history(self._folder.checkpoint(trial.number, self._seed))
        values = enumerate(objective_curve(history, self._objectives[0]), start=1)
        return {epoch: value for epoch, value in values if not math.isnan(value)}


class LiveStudy:
    """Optuna's study while a driver works: new trials, their epochs and ends, each noted in the ledger as it happens.

    Args:
        folder: the study, locked by this process.
        space: what trials vary.
        sampler: says what comes next.
        pruner: says what ends early; nothing does where None.

    Raises:
        OSError: the journal cannot be written.
        ValueError: the space cannot express the values of a trial.
    """

    def __init__(self, folder: StudyFolder, space: Space, sampler: BaseSampler, pruner: BasePruner | None) -> None:
        self._ledger, self._space = folder.ledger, space
        self._storage = _new_journal(folder)
        name = folder.definition.name
        self._id = self._storage.get_study_id_from_name(name)
        self.study = optuna.load_study(
            study_name=name, storage=self._storage, sampler=sampler, pruner=pruner or optuna.pruners.NopPruner()
        )
        self._trials: dict[int, optuna.Trial] = {}
        for _ in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            # Of a trial that waits Optuna hands out an object to report to, with the values that it has.
            trial = self.study.ask()
            self._trials[trial.number] = trial

    @property
    def exhausted(self) -> bool:
        """Whether the sampler has nothing left to suggest."""
        return exhausted(self.study)

    def enqueue(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Have the next trials begin with these points."""
        for point in points:
            self.study.enqueue_trial(self._space.params_of(point))

    def create(self, starts: Sequence[Mapping[str, Any]]) -> TrialRecord:
        """Ask for a trial and note it.

        Args:
            starts: points whose trials are start points.
        """
        trial = self.study.ask()
        params = self._space.suggest(trial)
        self._trials[trial.number] = trial
        study_attrs = self._storage.get_study_system_attrs(self._id)
        return self._ledger.create(
            params,
            optuna=trial.number,
            origin="start" if params in starts else "search",
            system_attrs=self._frozen(trial.number).system_attrs,
            study_attrs=_news(study_attrs, self._ledger.study_attrs),
        )

    def report(self, number: int, curve: Mapping[int, float], *, last: bool) -> bool:
        """Report epochs of a trial; whether it should end early.

        Args:
            number: the trial, in the ledger.
            curve: epoch -> the objective at the best epoch so far; what was reported before is passed over.
            last: there is nothing left to be ended.
        """
        record = self._ledger.trials[number]
        trial = self._trials.get(record.optuna)
        if trial is None:
            return False
        with warnings.catch_warnings():
            # An epoch that a kill or a population repeats.
            warnings.filterwarnings("ignore", message=".*is already reported", category=UserWarning)
            for epoch, value in curve.items():
                trial.report(value, epoch)
        if last:
            return False
        prune = trial.should_prune()
        if news := _news(self._frozen(record.optuna).system_attrs, record.system_attrs):
            self._ledger.attrs(number, news)
        return prune

    def end(self, number: int, state: State, values: tuple[float, ...] = (), reason: str = "") -> None:
        """End a trial, for Optuna and in the ledger."""
        record, curve = self._ledger.trials[number], None
        if self._trials.pop(record.optuna, None) is not None:
            outcome = list(values) if state == "complete" else None
            epochs = self.study.tell(record.optuna, outcome, state=_STATES[state]).intermediate_values
            curve = [epochs.get(epoch) for epoch in range(1, max(epochs, default=0) + 1)]
        self._ledger.end(number, state, values, reason, curve)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]


def _news(attrs: Mapping[str, Any], ledger_attrs: Mapping[str, Any]) -> dict[str, Any]:
    # No sampler or pruner changes a value; a rung's may be no number, which equals nothing.
    return {key: value for key, value in attrs.items() if key not in ledger_attrs}


class _Entries(BaseJournalBackend):
    """A journal in memory, to be written as a whole: Optuna's file waits for the disk at every trial."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Optuna's name for reading."""
        return self.entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Optuna's name for writing."""
        self.entries += logs


def _new_journal(folder: StudyFolder) -> JournalStorage:
    """Write the journal anew, whole or not at all; trials that have not ended wait in it."""
    memory, path = _Entries(), folder.path / JOURNAL
    study_in(JournalStorage(memory), folder, unfinished=TrialState.WAITING)
    for leftover in (*path.parent.glob(f"{JOURNAL}.lock*"), *path.parent.glob(f".{JOURNAL}.*")):
        leftover.unlink()  # by a writer that was killed; Optuna would wait half a minute for its lock
    with whole(path) as unfinished:
        JournalFileBackend(str(unfinished)).append_logs(memory.entries)
    return JournalStorage(JournalFileBackend(str(path)))
