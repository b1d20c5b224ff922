"""A study's folder: its definition, ledger, Optuna journal, the trials' checkpoints and the lock of its driver.

Within STUDIES/NAME: ``study.yaml`` what was asked for, written once; ``ledger.jsonl`` what every trial came to;
``optuna.log`` what Optuna knows of it, made from the ledger by every driver; ``trials/7/s0`` the checkpoint of trial 7
with seed 0; ``lock`` held by the driver that works on the study. A study at a URI (s3://, gs://) is worked on in a
working copy of that folder, see ``tune.study.mirror``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dclf.data.storage import is_remote, place_below
from dclf.whole_files import whole
from tune.study.claims import Claims
from tune.study.definition import StudyDefinition
from tune.study.ledger import Ledger
from tune.study.locks import HeldElsewhereError, locked, this_process
from tune.study.mirror import LEDGER, TRIALS, Mirror
from tune.study.places import (
    StudyError,
    StudyUnavailableError,
    answering,
    place_of,
    require_new,
    study_names,
    study_path,
)
from tune.study.remote_work import driving

_log = logging.getLogger(__name__)

_BUDGET = "budget"
"""Kind of the ledger's notes on a changed budget."""


class StudyFolder:
    """One study on disk.

    Attributes:
        path: its folder; the working copy of a study at a URI.
        definition: what it was asked to do, with the budget that it was last resumed with.
        ledger: what its trials came to.
        storage: the folder or URI of studies that it lies in.
        lost: why this process may no longer drive the study, which another driver has taken over; None while it may.
    """

    def __init__(self, path: Path, definition: StudyDefinition, storage: str = "") -> None:
        self.path = path
        self.storage = storage or str(path.parent)
        self.lost: Exception | None = None
        self._mirror = Mirror(self.storage, path.name) if is_remote(self.storage) else None
        self._original = definition
        self._read()

    def _read(self) -> None:
        self.ledger = Ledger(self.path / LEDGER)
        budgets = [note["settings"] for note in self.ledger.notes if note["kind"] == _BUDGET]
        self.definition = self._original.with_settings(budgets[-1]) if budgets else self._original

    @property
    def address(self) -> str:
        """The folder, or the URI of a study at one, as other machines know it."""
        return str(self.path) if self._mirror is None else place_below(self.storage, self.path.name)

    def address_of(self, place: Path, *, results: bool = False) -> str:
        """A folder within this one as other machines know it.

        Args:
            place: the folder.
            results: it is of results, which a URI keeps apart from what trials write.
        """
        if self._mirror is None:
            return str(place)
        return place_below(self.address, f"{'files/' if results else ''}{place.relative_to(self.path).as_posix()}")

    @classmethod
    def create(cls, storage: Path | str, definition: StudyDefinition) -> StudyFolder:
        """A new study.

        Raises:
            StudyError: the name is taken or cannot be a folder's.
            OSError: the folder cannot be written.
        """
        require_new(storage, definition.name)
        path = study_path(storage, definition.name)
        if is_remote(str(storage)) and path.exists():
            # A working copy of a study that was deleted at the URI.
            path.rename(path.with_name(f".{path.name}.deleted-{time.time_ns()}"))
        path.mkdir(parents=True, exist_ok=True)
        if not is_remote(str(storage)):
            definition = replace(definition, folder=str(path))
        with whole(path / "study.yaml") as unfinished:
            unfinished.write_text(definition.to_yaml(), encoding="utf-8")
            if is_remote(str(storage)):
                with answering(str(storage)) as folder:
                    folder.below(definition.name).write_bytes("study.yaml", unfinished.read_bytes())
        return cls(path, definition, place_of(storage))

    @classmethod
    def open(cls, storage: Path | str, name: str) -> StudyFolder:
        """A study that is there; the working copy of one at a URI is brought up to date.

        Raises:
            StudyError: it is not, or its definition cannot be read.
            StorageError: the store does not answer.
        """
        path = study_path(storage, name)
        try:
            if is_remote(str(storage)):
                with answering(str(storage)):
                    Mirror(str(storage), name).pull()
            definition = read_definition(path)
        except (FileNotFoundError, NotADirectoryError):
            names = ", ".join(study_names(storage)) or "none"
            raise StudyError(f"no study {name!r} in {storage}; it has: {names}") from None
        return cls(path, definition, place_of(storage))

    def extend(self, **settings: Any) -> None:
        """Go on with another budget than was planned: settings such as ``trials`` and ``time``."""
        self.ledger.note(_BUDGET, settings=settings)
        self.definition = self.definition.with_settings(settings)

    def checkpoint(self, number: int, seed: int) -> Path:
        """Folder of the checkpoint of one training of a trial; at a URI its files are only marked, see ``fetched``."""
        if self._mirror is not None:
            with answering(self.storage):
                return self._mirror.training(number, seed)
        return self.path / TRIALS / str(number) / f"s{seed}"

    def trainings(self, number: int) -> list[Path]:
        """Folders of those trainings of a trial that have left anything."""
        if self._mirror is not None:
            with answering(self.storage):
                return self._mirror.trainings(number)
        place = self.path / TRIALS / str(number)
        return sorted(place.glob("s*")) if place.exists() else []

    def fetched(self, number: int, seed: int) -> Path:
        """As ``checkpoint``, with all of its files on this machine."""
        if self._mirror is None:
            return self.checkpoint(number, seed)
        with answering(self.storage):
            return self._mirror.fetch(number, seed)

    def uploaded(self, number: int, seed: int) -> None:
        """Keep what was put into a training's folder on this machine; at a URI that is uploading it."""
        if self._mirror is not None:
            with answering(self.storage):
                self._mirror.upload(number, seed)

    def dropped(self, place: Path) -> None:
        """Delete at the URI what was deleted from a training's folder on this machine."""
        if self._mirror is not None:
            with answering(self.storage):
                self._mirror.forget(place)

    def share_files(self) -> None:
        """Keep reports and results of perturbation tests; at a URI that is uploading them."""
        if self._mirror is not None:
            with answering(self.storage):
                self._mirror.push_files()

    def refresh(self) -> None:
        """Fetch what other machines have written beside the ledger since the study was opened."""
        if self._mirror is not None:
            with answering(self.storage):
                self._mirror.pull()

    def holder_elsewhere(self) -> str:
        """The driver of a study at a URI in words, on whatever machine it is; empty for none, or a local study."""
        if self._mirror is None:
            return ""
        with answering(self.storage):
            return Claims(self._mirror.remote.below("claims"), this_process()).holder()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only driver of the study; a driver that was killed holds no lock.

        Raises:
            StudyError: another process works on it.
            StorageError: the store does not answer.
        """
        with ExitStack() as stack:
            with self._held_elsewhere_named():
                stack.enter_context(locked(self.path / "lock"))
            stack.enter_context(self._driven())
            # Another driver may have worked on the study since it was opened.
            self._read()
            yield

    @contextmanager
    def _driven(self) -> Iterator[None]:
        if self._mirror is None:
            yield
            return

        def lose(error: Exception) -> None:
            self.lost = error
            _log.error(str(error))

        self.lost = None
        with ExitStack() as stack:
            with answering(self.storage), self._held_elsewhere_named():
                stack.enter_context(driving(self._mirror, this_process(), lose))
            yield

    @contextmanager
    def _held_elsewhere_named(self) -> Iterator[None]:
        try:
            yield
        except HeldElsewhereError as error:
            raise StudyUnavailableError(f"study {self.definition.name!r} {error}") from None


def read_definition(path: Path) -> StudyDefinition:
    """What the study in a folder was asked to do, with its places where they lie now.

    Raises:
        StudyError: it cannot be read.
        FileNotFoundError: there is none.
    """
    text = (path / "study.yaml").read_text(encoding="utf-8")
    try:
        return StudyDefinition.from_yaml(text).moved_to(path)
    except (yaml.YAMLError, TypeError) as error:
        raise StudyError(f"{path / 'study.yaml'}: must be a study's definition, cannot be read ({error})") from None
