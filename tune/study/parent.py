"""Which MLflow run is a study's parent, as far as the study itself knows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tune.config.moved_folders import relocated
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder

PARENT_NOTE = "parent"
"""Kind of the ledger's notes with the parent run's id."""


def parent_ids(folder: StudyFolder) -> list[str]:
    """All parent runs the study ever had, the present one last; empty before the first."""
    return [note["run_id"] for note in folder.ledger.notes if note["kind"] == PARENT_NOTE]


def parent_id(folder: StudyFolder) -> str | None:
    """The present parent run; None before the first."""
    return next(reversed(parent_ids(folder)), None)


def noted_store(folder: StudyFolder) -> str:
    """Where the study was recorded, as its ledger says: the store's URI without secrets; empty before that.

    Where study and store were moved together, it is the store's place of today.
    """
    stores = [note["store"] for note in folder.ledger.notes if note["kind"] == PARENT_NOTE]
    home = folder.definition.folder
    return relocated(stores[-1], Path(home), folder.path) if stores and home else next(reversed(stores), "")


def created_ms(definition: StudyDefinition) -> int:
    """When the study was created, as MLflow counts; its runs are not older.

    An earlier study of the same name may have been deleted from the disk only, and left its runs.
    """
    return int(datetime.fromisoformat(definition.created).timestamp() * 1000) if definition.created else 0
