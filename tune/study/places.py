"""Folders of studies: which studies one has, and where a study of a name lies, on disk or at a URI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.storage import StorageError
from dclf.data.storage import Folder, absolute, is_remote, trouble_with
from dclf.errors import UserError
from tune.config.sweep_settings import study_name_problem
from tune.study.mirror import working_copies


class StudyError(UserError, ValueError):
    """A study that cannot be created, found or worked on; the message says why and what to do."""


class StudyUnavailableError(StudyError):
    """A study that cannot be worked on now: its driver, its data or a database is in the way."""


def study_path(storage: Path | str, name: str) -> Path:
    """Where a study of this name lies.

    Raises:
        StudyError: the name cannot be a folder's.
    """
    if problem := study_name_problem(name):
        raise StudyError(problem)
    return (working_copies(str(storage)) if is_remote(str(storage)) else Path(place_of(storage))) / name


def place_of(storage: Path | str) -> str:
    """A folder of studies as other folders know it: from the root on, or its URI."""
    text = str(storage)
    return text if is_remote(text) else absolute(text)


def study_exists(storage: Path | str, name: str) -> bool:
    """Whether a folder of studies has this one; StudyError for a name that none can have."""
    path = study_path(storage, name)
    if is_remote(str(storage)):
        with answering(str(storage)) as folder:
            return folder.exists(f"{name}/study.yaml")
    return (path / "study.yaml").exists()


def require_new(storage: Path | str, name: str) -> None:
    """Refuse the name of a study that is there already.

    Raises:
        StudyError: it is, or the name cannot be a folder's.
    """
    if study_exists(storage, name):
        raise StudyError(
            f"study {name!r} exists already in {storage}; go on with it (dclf resume {name}) or choose another --name"
        )


def study_names(storage: Path | str) -> list[str]:
    """All studies of a folder of studies, the latest first."""
    if is_remote(str(storage)):
        with answering(str(storage)) as folder:
            names = folder.folders_with("study.yaml")
            if not names:
                folder.require_bucket()
            return names
    definitions = Path(place_of(storage)).glob("*/study.yaml")
    return [path.parent.name for path in sorted(definitions, key=lambda path: path.stat().st_mtime, reverse=True)]


@contextmanager
def answering(storage: str) -> Iterator[Folder]:
    """The folder of studies at a URI; a store that refuses or does not answer is told with the remedy."""
    try:
        yield Folder.of(storage)
    except (StorageError, FileNotFoundError, ValueError):
        raise
    except OSError as error:
        raise StorageError(f"sweep.storage: {storage}: {trouble_with(error)}") from error
