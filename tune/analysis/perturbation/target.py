"""What a perturbation test is about: trained models, where their checkpoints lie, and where their files go."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dclf.config import Config
from dclf.data import ShardSet
from tune.analysis.perturbation.files import SuiteFolder
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.table import Table
from tune.study.dataset import DatasetNote


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """One training of a target.

    Attributes:
        name: in messages, such as ``trial 0, seed 1``.
        run_id: MLflow's id of its run.
        run_name: the name of it.
        config: its configuration.
        trial: number of the study's trial; None for a run.
        folder: of its files.
        address: the same folder as other machines know it.
    """

    name: str
    run_id: str
    run_name: str
    config: Config
    trial: int | None = None
    folder: Path
    address: str


class Target(Protocol):
    """A run or a study.

    Attributes:
        title: for people, such as ``study parts``.
        shards: what its models are scored on.
        suite: where the substitutions lie.
        identity: of the model behind a run, which may be trained further; empty where a model never changes.
    """

    title: str
    shards: ShardSet
    suite: SuiteFolder
    identity: str

    @property
    def store(self) -> str:
        """URI of the MLflow store that has the runs, empty for none; TrackingError where it is another one now."""

    @property
    def run_id(self) -> str:
        """MLflow's id of the run that gets the tables; empty for none."""

    def folder(self, split: str) -> Path:
        """Return the folder of ``test.json`` and the tables."""

    def models(self, split: str) -> Sequence[TrainedModel]:
        """Return every trained model, scored or not; StudyError where there is none."""

    def checkpoints(self, models: Sequence[TrainedModel]) -> AbstractContextManager[Sequence[str]]:
        """Give folder or URI of each model's checkpoint while they are scored.

        Raises:
            StudyError: checkpoints of a study are gone.
            TrackingError: a run left neither model nor checkpoint, or the store does not answer.
        """

    def data(self) -> DatasetNote:
        """Return which data the models are scored on."""

    def fetch(self) -> None:
        """Bring what other machines have written to this one."""

    def share(self) -> None:
        """Bring what this machine has written to where the target lies."""

    def perturbations(self, split: str) -> Perturbations | None:
        """Return what the latest test came to so far."""

    def tables(self, split: str) -> list[Table]:
        """Return the tables of the latest test."""

    def sentences(self, split: str) -> list[str]:
        """Return what the tables say, in words; nothing of a single model."""

    def csv(self, split: str) -> str:
        """Return its scores as CSV."""
