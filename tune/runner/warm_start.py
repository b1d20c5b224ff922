"""Finished trials of earlier studies, made known to the sampler of a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from dclf.config import Config
from tune.config.overrides import apply, value_of
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.search.space import Space
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.places import StudyError, study_exists, study_names

SOURCE = "dclf:source"
"""User attribute of such a trial: ``STUDY/NUMBER``."""
WARM_NOTE = "warm_start"
"""Kind of the ledger's notes on trials of earlier studies, one for each study."""
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
_LEARN_NOTHING = ("grid", "random", "listed")
_MOST_SHOWN = 3


def warm_start_problems(settings: SweepSettings) -> list[str]:
    """Earlier studies that are not there or that cannot be used, as ``sweep.warm_start: what must hold``."""
    problems = []
    if settings.warm_start and settings.sampler in _LEARN_NOTHING:
        rule = f"must be empty with sampler {settings.sampler}, which learns nothing from earlier trials"
        problems.append(f"sweep.warm_start: {rule}")
    for name in settings.warm_start:
        try:
            there = study_exists(settings.storage, name)
        except StudyError:
            continue  # told already, see tune.search.checks
        if not there:
            names = ", ".join(study_names(settings.storage)) or "none"
            problems.append(f"sweep.warm_start: no study {name!r} in {settings.storage}; it has: {names}")
    return problems


def warm_start(folder: StudyFolder) -> list[str]:
    """Note the finished trials of the studies that ``sweep.warm_start`` names; what was noted before is passed over.

    A trial can be used where its study has this one's objectives, this space can express its values, and whatever
    else it changed is as in this base configuration. With the notes a later driver needs no other study.

    Args:
        folder: the study, locked by this process.

    Returns:
        what is used of each study and what cannot be, one line each.
    """
    earlier_names = {note["study"] for note in _notes(folder)}
    return [_from(name, folder) for name in folder.definition.sweep.warm_start if name not in earlier_names]


def earlier_trials(folder: StudyFolder, space: Space) -> list[FrozenTrial]:
    """Return the trials of earlier studies as Optuna takes them.

    Args:
        folder: the study.
        space: the study's.
    """
    return [_frozen(note["study"], trial, space) for note in _notes(folder) for trial in note["trials"]]


def _notes(folder: StudyFolder) -> list[dict[str, Any]]:
    return [note for note in folder.ledger.notes if note["kind"] == WARM_NOTE]


def _from(name: str, folder: StudyFolder) -> str:
    try:
        source = StudyFolder.open(folder.storage, name)
    except (StudyError, ValueError) as error:
        return f"warm start: nothing of study {name} can be used: {error}"
    reader = _Reader(source, folder)
    trials = [reader.content(trial) for trial in source.ledger.trials.values() if trial.state in _STATES]
    folder.ledger.note(WARM_NOTE, study=name, trials=[trial for trial in trials if trial is not None])
    return f"warm start: {reader.used} trials of study {name} are known to the sampler{reader.unused}"


def _frozen(study: str, trial: Mapping[str, Any], space: Space) -> FrozenTrial:
    params, values = space.params_of(trial["params"]), trial["values"]
    return create_trial(
        state=_STATES[trial["state"]],
        values=values if trial["state"] == "complete" else None,
        params=params,
        distributions={key: space.domains[key].distribution for key in params},
        user_attrs={SOURCE: f"{study}/{trial['number']}"},
        intermediate_values={trial["epochs"]: values[0]} if len(values) == 1 else None,
    )


class _Reader:
    """Reads trials of one study as those of another."""

    def __init__(self, source: StudyFolder, target: StudyFolder) -> None:
        self.used = 0
        self._reasons: Counter[str] = Counter()
        self._name = source.definition.name
        self._source = source.definition.base
        self._base = target.definition.base
        self._space = Space.of(target.definition.space, self._base)
        self._objectives = list(target.definition.sweep.objectives)
        self._places = {name: place for place, name in enumerate(source.definition.sweep.objectives)}

    @property
    def unused(self) -> str:
        """How many could not be used, and the most frequent reasons."""
        if not self._reasons:
            return ""
        reasons = "; ".join(f"{count} because {reason}" for reason, count in self._reasons.most_common(_MOST_SHOWN))
        return f", {self._reasons.total()} cannot be used ({reasons})"

    def content(self, trial: TrialRecord) -> dict[str, Any] | None:
        """The trial as the other study notes it; None where it cannot be used."""
        try:
            values, params = self._values(trial), self._point(trial.params)
        except ValueError as error:
            self._reasons[str(error)] += 1
            return None
        self.used += 1
        epochs = max((run.epochs for run in trial.runs.values()), default=1)
        number, state = trial.number, trial.state
        return {"number": number, "state": state, "params": params, "values": values, "epochs": epochs}

    def _values(self, trial: TrialRecord) -> list[float]:
        lacking = [name for name in self._objectives if name not in self._places]
        if lacking:
            raise ValueError(f"that study has no objective {lacking[0]}")
        return [trial.values[self._places[name]] for name in self._objectives]

    def _point(self, params: Mapping[str, object]) -> dict[str, object]:
        """The trial's values of this space's parameters."""
        try:
            config = apply(self._source, params)
        except ConfigError as error:
            raise ValueError("; ".join(error.problems)) from None
        for reason in (*self._fixed(params, config), *self._space.outside(config)):
            raise ValueError(reason)
        return self._space.point(config) or {}

    def _fixed(self, params: Mapping[str, object], config: Config) -> Iterator[str]:
        """What that study searched and this one does not, where the values differ."""
        for key in params:
            if key not in self._space.domains and value_of(config, key) != value_of(self._base, key):
                yield f"{key} is not searched here and was {value_of(config, key)!r}"
