"""Finished trainings of other studies, found by the hash of their configuration, so that none is trained twice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from dclf.config import Config
from dclf.training.reports import EpochReport
from tune.study.best import trial_config
from tune.study.checkpoints import has_checkpoint
from tune.study.definition import StudyDefinition
from tune.study.folder import StudyFolder
from tune.study.history import HISTORY_FILE, read_history
from tune.study.ledger import TrialRecord
from tune.study.places import study_names

REUSED_NOTE = "reused"
"""Kind of the ledger's notes that say where a training comes from."""
_PLACES = ("data.shards", "train.storage", "train.device", "train.max_failures", "train.placement")
"""Keys that say where and how a training runs, and nothing of what is trained."""
_PACKAGES = ("dclf", "torch")
"""A training of other versions of these may come to something else."""


@dataclass(frozen=True, kw_only=True)
class FinishedTraining:
    """A finished training of another study.

    Attributes:
        study: its name.
        number: its trial.
        seed: ``train.seed`` of it.
        folder: its checkpoint, as far as it was kept, and its epochs.
        run_id: MLflow's id.
        fetch: brings all that was kept of it to ``folder``, which is returned; at a URI it is only marked there.
        test: its scores on the sealed test split; None where it was not scored there.
        test_confusion: its confusion matrix there; empty where that is not known.
    """

    study: str
    number: int
    seed: int
    folder: Path
    run_id: str
    fetch: Callable[[], Path]
    test: Mapping[str, float] | None
    test_confusion: Sequence[Sequence[int]] = ()

    @property
    def history(self) -> list[EpochReport]:
        """All epochs; empty where they are gone."""
        return read_history(self.folder)


def training_hash(config: Config, workers: int) -> str:
    """What identifies a training on given data: its configuration without places and names.

    Args:
        config: the training; its seed is part of it.
        workers: ``sweep.workers_per_trial``: several divide a batch, and end elsewhere than one.
    """
    values = {key: _canonical(value) for key, value in config.flat().items() if key not in _PLACES}
    text = json.dumps({**values, "workers": workers}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """1 and 1.0 are one setting, and so are a list and a tuple."""
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def trial_hash(definition: StudyDefinition, params: Mapping[str, Any], seed: int) -> str:
    """``training_hash`` of a trial and seed.

    Args:
        definition: of the study.
        params: what the trial changes.
        seed: ``train.seed``.
    """
    config = trial_config(definition.config, {**params, "train.seed": seed})
    return training_hash(config, definition.sweep.workers_per_trial)


class FinishedTrainings:
    """Trainings that need not be repeated: of the same shards, by the versions that run now, in one folder of studies.

    Args:
        storage: folder of studies.
        shards_sha256: hash of the shards.
        models: whether the trained models are needed, or test scores will do.
        exclude: name of the study that is asking.
    """

    def __init__(self, storage: Path | str, shards_sha256: str, *, models: bool, exclude: str = "") -> None:
        self._storage, self._shards, self._models, self._exclude = storage, shards_sha256, models, exclude
        self._by_hash: dict[str, FinishedTraining] | None = None

    @classmethod
    def for_study(cls, folder: StudyFolder) -> FinishedTrainings:
        """What other studies beside this one have trained."""
        definition = folder.definition
        models = bool(definition.plan.get("evaluations"))
        return cls(folder.storage, definition.shards_sha256, models=models, exclude=definition.name)

    def find(self, training: str) -> FinishedTraining | None:
        """The finished training of this hash; None where there is none that can be used.

        Usable is one whose epochs are there, and its model or, where that is not needed, its test scores.
        """
        if self._by_hash is None:
            self._by_hash = dict(self._index())
        return self._by_hash.get(training)

    def _index(self) -> Iterator[tuple[str, FinishedTraining]]:
        for study in self._comparable():
            tested, confusions = study.ledger.tested, study.ledger.test_confusion
            for trial, seed in _complete(study):
                finished = FinishedTraining(
                    study=study.definition.name,
                    number=trial.number,
                    seed=seed,
                    folder=study.checkpoint(trial.number, seed),
                    run_id=trial.runs[seed].run_id,
                    fetch=partial(study.fetched, trial.number, seed),
                    test=tested.get((trial.number, seed)),
                    test_confusion=confusions.get((trial.number, seed), ()),
                )
                if self._usable(finished):
                    yield trial_hash(study.definition, trial.params, seed), finished

    def _usable(self, finished: FinishedTraining) -> bool:
        if not (finished.folder / HISTORY_FILE).exists():
            return False
        return has_checkpoint(finished.folder) or (finished.test is not None and not self._models)

    def _comparable(self) -> Iterator[StudyFolder]:
        present = {package: metadata.version(package) for package in _PACKAGES}
        for name in study_names(self._storage):
            try:
                study = StudyFolder.open(self._storage, name)
            except (ValueError, OSError, KeyError):
                # A damaged study has nothing to offer; dclf list tells of it.
                continue
            other = study.definition
            same = other.shards_sha256 == self._shards and present.items() <= dict(other.versions).items()
            # Members of a population take over one another's weights.
            if same and name != self._exclude and other.sweep.scheduler != "pbt":
                yield study


def take_over(finished: FinishedTraining, folder: Path) -> list[EpochReport]:
    """Bring a finished training into a study's folder, by links where the disk has them; its epochs.

    Raises:
        OSError: it is gone, or the folder cannot be written.
    """
    unfinished = folder.with_name(f"{folder.name}.part")
    for old in (unfinished, folder):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(finished.fetch(), unfinished, copy_function=_linked)
    unfinished.rename(folder)
    return read_history(folder)


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _complete(study: StudyFolder) -> Iterable[tuple[TrialRecord, int]]:
    for trial in study.ledger.trials.values():
        if trial.state == "complete":
            yield from ((trial, seed) for seed, run in trial.runs.items() if run.values)
