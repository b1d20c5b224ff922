"""Optuna's own record of a study: a journal in the study's folder, or a table in a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tune.runner.journal import Journal
from tune.search.grid_sampler import FORGOTTEN
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, TrialRecord
from tune.study.places import StudyError
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
    return _create(folder, load_if_exists=False)


def _create(folder: StudyFolder, *, load_if_exists: bool) -> optuna.Study:
    definition = folder.definition
    directions = [StudyDirection[direction.upper()] for direction in definition.sweep.objectives.values()]
    with _quiet(), _explained(folder):
        return optuna.create_study(
            storage=_storage(folder),
            study_name=definition.name,
            directions=directions,
            load_if_exists=load_if_exists,
        )


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


def open_study(folder: StudyFolder, sampler: BaseSampler, pruner: BasePruner | None) -> optuna.Study:
    """Optuna's study for the driver, which holds the study's lock, after whatever ended the driver before.

    Raises:
        StudyError: the database does not answer, or the journal is gone.
    """
    mend_journal(folder)
    if not folder.ledger.trials:
        # A driver that was killed at the very start may not have come to it.
        _create(folder, load_if_exists=True)
    return load_study(folder, sampler=sampler, pruner=pruner)


def mend_journal(folder: StudyFolder) -> None:
    """Cut off a line that a kill or a full disk left unfinished, and open the lock of a writer that was killed.

    Optuna would join the next line to the unfinished one and read neither, and wait half a minute for the lock.
    """
    if folder.definition.sweep.optuna:
        return
    journal = folder.path / JOURNAL
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink()
    if journal.exists():
        with journal.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def reconcile(folder: StudyFolder, study: optuna.Study) -> list[str]:
    """Make Optuna know what the ledger knows, which holds where they differ; what was done, one line each."""
    done = []
    for problem, remedy, mend in differences(folder, study):
        mend()
        done.append(f"{problem}: {remedy}")
    return done


def differences(folder: StudyFolder, study: optuna.Study) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Where Optuna and the ledger differ after a kill: what is wrong, what is done about it, and the doing."""
    known = {trial.optuna: trial for trial in folder.ledger.trials.values() if trial.optuna >= 0}
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = known.get(frozen.number)
        if trial is None:
            problem = f"Optuna's trial {frozen.number} was asked for and never run"
            yield problem, "marked failed", partial(_forget, study, frozen)
        elif trial.state in ENDED:
            problem = f"trial {trial.number}: Optuna did not know yet that it is {trial.state}"
            yield problem, "told", partial(tell, study, trial)


def _forget(study: optuna.Study, frozen: FrozenTrial) -> None:
    # A grid must try its combination after all.
    optuna.Trial(study, frozen._trial_id).set_user_attr(FORGOTTEN, True)
    study.tell(frozen.number, state=TrialState.FAIL)


def tell(study: optuna.Study, trial: TrialRecord) -> None:
    """Tell Optuna how a trial ended; saying it twice does no harm."""
    values = list(trial.values) if trial.state == "complete" else None
    study.tell(trial.optuna, values, state=_STATES[trial.state], skip_if_finished=True)


def together(study: optuna.Study) -> AbstractContextManager[None]:
    """Write what belongs together at once, for the driver, which holds the study's lock."""
    storage = study._storage
    return storage.together() if isinstance(storage, Journal) else nullcontext()


def _storage(folder: StudyFolder) -> BaseStorage:
    url = folder.definition.sweep.optuna
    if url:
        return RDBStorage(url)
    return Journal(str(folder.path / JOURNAL))


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
            f"make it again from the ledger: dclf doctor {folder.definition.name} --fix"
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
