"""A copy of a study in a database of Optuna's, for dashboards and scripts; nothing is ever read back from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.storages import InMemoryStorage, RDBStorage

from tune.runner.optuna_study import study_in
from tune.search.optuna_log import quiet_optuna
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.places import StudyError, StudyUnavailableError
from tune.tracking.redact import without_secrets

_CREATED = "dclf:created"
"""User attribute of a copy: when its study was created. Copies of the same study are replaced, and nothing else."""
_NOTE = "optuna"
"""Kind of the ledger's notes that the study is copied to a database; versions before kept their state there instead."""


def require_place(definition: StudyDefinition, folder: StudyFolder | None = None) -> None:
    """Refuse a database that cannot take the copy, where ``sweep.optuna`` names one.

    Args:
        definition: the study's.
        folder: of the study; None for one that does not exist yet.

    Raises:
        StudyError: the database does not answer, or has another study of that name.
    """
    if definition.sweep.optuna:
        with _explained(definition):
            _require_free(definition, RDBStorage(definition.sweep.optuna), folder)


def note_copies(folder: StudyFolder) -> None:
    """Note in the ledger of a new study that a database gets copies of it, where ``sweep.optuna`` names one."""
    if folder.definition.sweep.optuna:
        folder.ledger.note(_NOTE)


def export_study(folder: StudyFolder) -> None:
    """Copy the study to the database that ``sweep.optuna`` names, in the place of an earlier copy.

    Raises:
        StudyError: the database does not answer, or has another study of that name.
    """
    definition, memory = folder.definition, InMemoryStorage()
    study_in(memory, folder).set_user_attr(_CREATED, definition.created)
    with _explained(definition), quiet_optuna():
        database = RDBStorage(definition.sweep.optuna)
        if _require_free(definition, database, folder):
            optuna.delete_study(study_name=definition.name, storage=database)
        optuna.copy_study(from_study_name=definition.name, from_storage=memory, to_storage=database)
    if not _has_note(folder):
        note_copies(folder)


def _require_free(definition: StudyDefinition, database: RDBStorage, folder: StudyFolder | None) -> bool:
    """Refuse another study of the name; whether there is a copy of this one."""
    if definition.name not in optuna.get_all_study_names(database):
        return False
    there = optuna.load_study(study_name=definition.name, storage=database).user_attrs.get(_CREATED)
    of_version_before = there is None and folder is not None and not _has_note(folder)
    if there != definition.created and not of_version_before:
        raise StudyError(
            f"sweep.optuna: {without_secrets(definition.sweep.optuna)} holds another study named "
            f"{definition.name!r}; choose another --name"
        )
    return True


def _has_note(folder: StudyFolder) -> bool:
    return any(note["kind"] == _NOTE for note in folder.ledger.notes)


@contextmanager
def _explained(definition: StudyDefinition) -> Iterator[None]:
    try:
        yield
    except StudyError:
        raise
    except Exception as error:
        place, reason = without_secrets(definition.sweep.optuna), str(error).partition("\n")[0]
        raise StudyUnavailableError(
            f"sweep.optuna: {place} cannot be used ({reason}); check address and access"
        ) from error
