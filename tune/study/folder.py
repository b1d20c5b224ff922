"""A study's folder: its definition, ledger, Optuna journal, the trials' checkpoints and the lock of its driver.

Within STUDIES/NAME: ``study.yaml`` what was asked for, written once; ``ledger.jsonl`` what every trial came to;
``optuna.log`` Optuna's journal, unless the study keeps its state in a database; ``trials/7/s0`` the checkpoint of trial
7 with seed 0; ``lock`` held by the driver that works on the study.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import yaml

from dclf.config import Config
from tune.search.settings import SweepSettings
from tune.study.ledger import Ledger

_BUDGET = "budget"
"""Kind of the ledger's notes on a changed budget."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class StudyError(ValueError):
    """A study that cannot be created, found or worked on; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class StudyDefinition:
    """What a study was asked to do; never changes.

    Attributes:
        name: folder of the study, name of its MLflow parent run and of its Optuna study.
        kind: ``sweep``, ``ablation``, ``grid``, or ``study`` for one that a study file describes.
        config: base configuration as nested dictionaries, without passwords.
        settings: the ``sweep`` section as nested dictionaries.
        space: dotted key -> domain, the default space spelt out.
        shards_sha256: hash of the shard set's manifest; the trials of one study see one data set.
        created: ISO 8601 time.
        versions: package -> version at creation.
        variants: of a study file, in the order to report: mappings with ``name``, ``model`` (the base model),
            ``params`` (as the trial's), ``reference`` (whether the model's others are compared with it) and
            ``published`` (the paper's scores in percent); empty for anything else.
        plan: of a study file: ``title``, ``paper`` (such as Table 4), ``layout``, ``evaluations``, ``source``.
    """

    name: str
    kind: str = "sweep"
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    space: Mapping[str, Any] = field(default_factory=dict)
    shards_sha256: str = ""
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    variants: Sequence[Mapping[str, Any]] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> Config:
        """The base configuration."""
        return Config.from_dict(self.config)

    @property
    def sweep(self) -> SweepSettings:
        """The sweep's settings."""
        return SweepSettings.from_dict(self.settings)


class StudyFolder:
    """One study on disk.

    Attributes:
        path: its folder.
        definition: what it was asked to do, with the budget that it was last resumed with.
        ledger: what its trials came to.
    """

    def __init__(self, path: Path, definition: StudyDefinition) -> None:
        self.path = path
        self.ledger = Ledger(path / "ledger.jsonl")
        budgets = [note["settings"] for note in self.ledger.notes if note["kind"] == _BUDGET]
        self.definition = _with_budget(definition, budgets[-1]) if budgets else definition

    @classmethod
    def create(cls, storage: Path | str, definition: StudyDefinition) -> StudyFolder:
        """A new study.

        Raises:
            StudyError: the name is taken or cannot be a folder's.
            OSError: the folder cannot be written.
        """
        require_new(storage, definition.name)
        path = study_path(storage, definition.name)
        path.mkdir(parents=True, exist_ok=True)
        unfinished = path / "study.yaml.part"
        unfinished.write_text(yaml.safe_dump(_plain(asdict(definition)), sort_keys=False), encoding="utf-8")
        unfinished.replace(path / "study.yaml")
        return cls(path, definition)

    @classmethod
    def open(cls, storage: Path | str, name: str) -> StudyFolder:
        """A study that is there.

        Raises:
            StudyError: it is not, or its definition cannot be read.
        """
        path = study_path(storage, name)
        try:
            text = (path / "study.yaml").read_text(encoding="utf-8")
        except FileNotFoundError:
            known = ", ".join(study_names(storage)) or "none"
            raise StudyError(f"no study {name!r} in {storage}; it has: {known}") from None
        try:
            return cls(path, StudyDefinition(**yaml.safe_load(text)))
        except (yaml.YAMLError, TypeError) as error:
            raise StudyError(f"{path / 'study.yaml'}: must be a study's definition, cannot be read ({error})") from None

    def extend(self, **settings: Any) -> None:
        """Go on with another budget than was planned: settings such as ``trials`` and ``time``."""
        self.ledger.note(_BUDGET, settings=settings)
        self.definition = _with_budget(self.definition, settings)

    def checkpoint(self, number: int, seed: int) -> Path:
        """Folder of the checkpoint of one training of a trial."""
        return self.path / "trials" / str(number) / f"s{seed}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only driver of the study; a driver that was killed holds no lock.

        Raises:
            StudyError: another process works on it.
        """
        with (self.path / "lock").open("a+", encoding="utf-8") as file:
            if not _taken(file):
                file.seek(0)
                raise StudyError(
                    f"study {self.definition.name!r} is being worked on by {file.read().strip() or 'another process'}; "
                    "wait for it or stop it"
                )
            file.seek(0)
            file.truncate()
            file.write(this_process())
            file.flush()
            # Another driver may have worked on the study since it was opened.
            self.ledger = Ledger(self.path / "ledger.jsonl")
            yield


def this_process() -> str:
    """This process in words, as a study's lock names it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _with_budget(definition: StudyDefinition, settings: Mapping[str, Any]) -> StudyDefinition:
    return replace(definition, settings={**definition.settings, **settings})


def _taken(file: TextIO) -> bool:
    """Take the lock; somebody who only asks whether it is held holds it for a moment."""
    for pause in (0.05, 0.1, 0.2, 0.0):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(pause)
        else:
            return True
    return False


def study_path(storage: Path | str, name: str) -> Path:
    """Where a study of this name lies.

    Raises:
        StudyError: the name cannot be a folder's.
    """
    if not _NAME.fullmatch(name):
        raise StudyError(
            f"a study's name must be 1 to 100 letters, digits, dots, dashes and underscores and begin with a letter "
            f"or digit, is {name!r}"
        )
    return Path(storage).absolute() / name


def study_exists(storage: Path | str, name: str) -> bool:
    """Whether a folder of studies has this one; StudyError for a name that none can have."""
    return (study_path(storage, name) / "study.yaml").exists()


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
    found = Path(storage).glob("*/study.yaml")
    return [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def _plain(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
