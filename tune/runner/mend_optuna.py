"""Optuna's record made again where it was lost: by a kill before its first line, or with the end of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from tune.runner.finding import Finding
from tune.runner.optuna_state import JOURNAL, create_study, differences, load_study
from tune.search.grid_sampler import FORGOTTEN
from tune.search.space import Space
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.places import StudyError

_STATES = {
    "waiting": TrialState.RUNNING,
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def existing_record(folder: StudyFolder) -> optuna.Study | None:
    """Optuna's study; None where its storage has none.

    Raises:
        StudyError: the database does not answer.
    """
    if not folder.definition.sweep.optuna and not (folder.path / JOURNAL).exists():
        return None
    try:
        return load_study(folder)
    except StudyError as error:
        if isinstance(error.__context__, KeyError):
            return None
        raise


def restore_record(folder: StudyFolder) -> None:
    """Create Optuna's study anew, with all trials of the ledger.

    Raises:
        StudyError: the database does not answer.
    """
    add_missing(folder, create_study(folder))


def optuna_findings(folder: StudyFolder) -> Iterator[Finding]:
    """Every disagreement of Optuna's record and the ledger.

    Raises:
        StudyError: the database does not answer.
    """
    study = existing_record(folder)
    if study is None:
        problem, fix = "its record of the study is gone", partial(restore_record, folder)
        yield Finding(subject="Optuna", problem=problem, remedy="it is made again from the ledger", fix=fix)
        return
    if lacking := _lacking(folder, study):
        numbers = f"{lacking[0]} to {lacking[-1]}" if len(lacking) > 1 else str(lacking[0])
        problem, mend = f"its record ends before trial {numbers}", partial(add_missing, folder, study)
        yield Finding(subject="Optuna", problem=problem, remedy="they are added from the ledger", fix=mend)
    for problem, remedy, told in differences(folder, study):
        yield Finding(subject="Optuna", problem=problem, remedy=remedy, fix=told)


def add_missing(folder: StudyFolder, study: optuna.Study) -> None:
    """Add the ledger's trials behind the last one that Optuna has, under their own numbers."""
    known = {trial.optuna: trial for trial in folder.ledger.trials.values()}
    space = Space.of(folder.definition.space, folder.definition.base)
    for number in _lacking(folder, study):
        trial = known.get(number)
        study.add_trial(_placeholder() if trial is None else frozen_trial(space, trial))


def frozen_trial(space: Space, trial: TrialRecord, **attributes: object) -> FrozenTrial:
    """A trial of a ledger as Optuna holds it.

    Args:
        space: must be able to express its values.
        trial: from the ledger.
        attributes: user attributes.

    Raises:
        ValueError: the space cannot express it.
    """
    params = space.params_of(trial.params)
    curve = {run.epochs: run.values[0] for run in list(trial.runs.values())[:1] if run.values}
    return create_trial(
        state=_STATES[trial.state],
        values=list(trial.values) if trial.state == "complete" else None,
        params=params,
        distributions={key: space.distributions[key] for key in params},
        user_attrs=dict(attributes),
        intermediate_values=curve if len(trial.values) < 2 else None,
    )


def _lacking(folder: StudyFolder, study: optuna.Study) -> range:
    last = max((trial.optuna for trial in folder.ledger.trials.values()), default=-1)
    return range(len(study.get_trials(deepcopy=False)), last + 1)


def _placeholder() -> FrozenTrial:
    """Holds the number of a trial that the ledger does not know."""
    return create_trial(state=TrialState.FAIL, user_attrs={FORGOTTEN: True})
