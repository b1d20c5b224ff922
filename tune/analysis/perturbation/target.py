"""What a perturbation test is about: trained models, where their checkpoints lie, and where their files go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dclf.config import Config
from dclf.data import read_shards
from tune.analysis.perturbation.files import SuiteFolder, read_perturbations
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.perturbation.tables import PerturbedVariant, corruption_table, scores_csv, substitution_table
from tune.analysis.table import Table


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


class Target(ABC):
    """A run or a study.

    Args:
        kind: ``run`` or ``study``.
        name: of it.
        shards: folder or URI of what its models are scored on.
        out: folder for substitutions, and for the results of runs.

    Attributes:
        title: for people, such as ``study parts``.
        shards: the shard set.
        suite: where its substitutions lie.
        identity: of the model behind a run, which may be trained further; empty where a model never changes.
        store: URI of the MLflow store that has the runs; empty for none.
        run_id: MLflow's id of the run that gets the tables; empty for none.
        other_data: behind the paper's numbers where they are of other data.

    Raises:
        ShardError: the shards are damaged.
        OSError: they are not there, or ``out`` cannot be written.
    """

    identity = store = run_id = other_data = ""

    def __init__(self, kind: str, name: str, shards: str, out: str | Path) -> None:
        self.kind, self.name = kind, name
        self.title = f"{kind} {name}"
        self.shards = read_shards(shards)
        self.suite = SuiteFolder.make(out, self.shards.manifest.sha256)

    @abstractmethod
    def folder(self, split: str) -> Path:
        """Return the folder of ``test.json`` and the tables."""

    @abstractmethod
    def models(self, split: str) -> Sequence[TrainedModel]:
        """Return every trained model, scored or not; StudyError where there is none."""

    @abstractmethod
    def checkpoints(self, models: Sequence[TrainedModel]) -> AbstractContextManager[Sequence[str]]:
        """Give folder or URI of each model's checkpoint while they are scored.

        Raises:
            StudyError: checkpoints of a study are gone.
            TrackingError: the store does not answer.
        """

    @abstractmethod
    def rows(self, scores: Perturbations) -> list[PerturbedVariant]:
        """Return the rows of the tables."""

    def sentences(self, split: str) -> list[str]:  # noqa: ARG002 - one model is compared with nothing
        """Return what the tables say, in words."""
        return []

    def fetch(self) -> None:  # noqa: B027 - only studies at a URI have to
        """Bring what other machines have written to this one."""

    def share(self) -> None:  # noqa: B027 - likewise
        """Bring what this machine has written to where the target lies."""

    def perturbations(self, split: str) -> Perturbations | None:
        """Return what the latest test came to so far; None where it has scored nothing."""
        folders = {(model.trial or 0, model.config.train.seed): model.folder for model in self.models(split)}
        return read_perturbations(self.kind, self.name, self.folder(split), folders)

    def tables(self, scores: Perturbations) -> list[Table]:
        """Return the tables of a test."""
        rows = self.rows(scores)
        tables = (substitution_table(scores, rows, self.other_data), corruption_table(scores, rows))
        return [table for table in tables if table is not None]

    def csv(self, scores: Perturbations) -> str:
        """Return the scores of a test as CSV."""
        return scores_csv(self.rows(scores))
