"""Optuna's own record of a study: a journal in the study's folder, or a table in a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tune.search.grid_sampler import FORGOTTEN
from tune.study.folder import StudyError, StudyFolder
from tune.study.ledger import ENDED, TrialRecord
from tune.tracking.redact import without_secrets

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

JOURNAL = "optuna.log"
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def create_study(folder: StudyFolder) -> optuna.Study:
    """Optuna's study of a new study, under the same name.

    Raises:
        StudyError: the database does not answer, or has a study of that name already.
    """
    definition = folder.definition
    directions = [StudyDirection[direction.upper()] for direction in definition.sweep.objectives.values()]
    with _quiet(), _explained(folder):
        return optuna.create_study(storage=_storage(folder), study_name=definition.name, directions=directions)


def load_study(
    folder: StudyFolder, *, sampler: BaseSampler | None = None, pruner: BasePruner | None = None
) -> optuna.Study:
    """Optuna's study of a study that exists.

    Raises:
        StudyError: the database does not answer, or the journal is gone.
    """
    with _quiet(), _explained(folder):
        return optuna.load_study(
            study_name=folder.definition.name,
            storage=_storage(folder),
            sampler=sampler,
            pruner=pruner or optuna.pruners.NopPruner(),
        )


def reconcile(folder: StudyFolder, study: optuna.Study) -> list[str]:
    """Make Optuna know what the ledger knows, which holds where they differ; what was done, one line each."""
    known = {trial.optuna: trial for trial in folder.ledger.trials.values() if trial.optuna >= 0}
    done: list[str] = []
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = known.get(frozen.number)
        if trial is None:
            # A grid must try its combination after all.
            optuna.Trial(study, frozen._trial_id).set_user_attr(FORGOTTEN, True)
            study.tell(frozen.number, state=TrialState.FAIL)
            done.append(f"Optuna's trial {frozen.number} was asked for and never run: marked failed")
        elif trial.state in ENDED:
            tell(study, trial)
            done.append(f"trial {trial.number}: Optuna did not know yet that it is {trial.state}")
    return done


def tell(study: optuna.Study, trial: TrialRecord) -> None:
    """Tell Optuna how a trial ended; saying it twice does no harm."""
    values = list(trial.values) if trial.state == "complete" else None
    study.tell(trial.optuna, values, state=_STATES[trial.state], skip_if_finished=True)


def _storage(folder: StudyFolder) -> BaseStorage:
    url = folder.definition.sweep.optuna
    if url:
        return RDBStorage(url)
    return JournalStorage(JournalFileBackend(str(folder.path / JOURNAL)))


@contextmanager
def _explained(folder: StudyFolder) -> Iterator[None]:
    place = without_secrets(folder.definition.sweep.optuna) or str(folder.path / JOURNAL)
    try:
        yield
    except optuna.exceptions.DuplicatedStudyError:
        raise StudyError(
            f"sweep.optuna: {place} holds another study named {folder.definition.name!r}; choose another --name"
        ) from None
    except KeyError:
        raise StudyError(
            f"{place} must hold Optuna's record of study {folder.definition.name!r} and does not; bring it back, or "
            "start the sweep under another --name"
        ) from None
    except Exception as error:
        raise StudyError(f"sweep.optuna: {place} cannot be used ({error}); check address and access") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna greets every study on stderr."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
