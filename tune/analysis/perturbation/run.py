"""A run in MLflow as a target of perturbation tests: a study of one training; and a model in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cluster.temporary import TemporaryFolder
from dclf.config import Config
from dclf.data import read_shards
from dclf.inference import Predictor, save_model
from tune.analysis.perturbation.files import OUT, SuiteFolder, read_perturbations
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.perturbation.tables import corruption_table, run_row, scores_csv, substitution_table
from tune.analysis.perturbation.target import TrainedModel
from tune.analysis.table import Table
from tune.study.dataset import DatasetNote, shards_note
from tune.tracking.find import RunRecord, checkpoint_of
from tune.tracking.logged_model import fetch_model, logged_model
from tune.tracking.trouble import TrackingError


@dataclass(frozen=True, kw_only=True)
class RunName:
    """Whose model is tested.

    Attributes:
        id: MLflow's, or another that can name a folder.
        name: for people.
    """

    id: str
    name: str


class OneModel:
    """A target with one model.

    Args:
        name: whose it is.
        config: the model's configuration.
        shards: folder or URI of what it is scored on.
        out: folder for substitutions and results.
        identity: of the model.
    """

    store = run_id = ""

    def __init__(self, name: RunName, config: Config, shards: str, out: str | Path, identity: str) -> None:
        self.name = name
        self.title = f"run {name.name} ({name.id})"
        self.config = config
        self.shards = read_shards(shards)
        self.suite = SuiteFolder.make(out, self.shards.manifest.sha256)
        self.identity = identity

    def folder(self, split: str) -> Path:
        """Return the run's folder beside the substitutions."""
        return self.suite.run(self.name.id, split)

    def models(self, split: str) -> list[TrainedModel]:
        """Return the one."""
        folder, name = self.folder(split), self.name
        model = TrainedModel(
            name=f"run {name.name}",
            run_id=name.id,
            run_name=name.name,
            config=self.config,
            folder=folder,
            address=str(folder),
        )
        return [model]

    def checkpoints(self, models: Sequence[TrainedModel]) -> AbstractContextManager[list[str]]:
        """Give the place of the model's checkpoint; each kind of target has its own."""
        raise NotImplementedError

    def data(self) -> DatasetNote:
        """Return which data the model is scored on."""
        return shards_note(str(self.shards.path))

    def fetch(self) -> None:
        """Do nothing: one model is scored in this process."""

    def share(self) -> None:
        """Do nothing: its files lie where they are wanted."""

    def perturbations(self, split: str) -> Perturbations | None:
        """Return what the latest test came to; None where there was none."""
        folder = self.folder(split)
        return read_perturbations("run", self.name.name, folder, {(0, self.config.train.seed): folder})

    def tables(self, split: str) -> list[Table]:
        """Return the tables with one row for the run."""
        scores = self.perturbations(split)
        if scores is None:
            return []
        rows = [run_row(scores, self.config, str(self.shards.path))]
        tables = (substitution_table(scores, rows), corruption_table(scores, rows))
        return [table for table in tables if table is not None]

    def sentences(self, split: str) -> list[str]:  # noqa: ARG002 - one model is compared with nothing
        """Return nothing: one model is compared with nothing."""
        return []

    def csv(self, split: str) -> str:
        """Return one line per condition."""
        scores = self.perturbations(split)
        return scores_csv([] if scores is None else [run_row(scores, self.config, str(self.shards.path))])


class RunTarget(OneModel):
    """A run in MLflow.

    Args:
        uri: of the store.
        record: the run.
        shards: as for ``OneModel``; those of the run where None.
        out: likewise.

    Raises:
        TrackingError: the store does not answer, or the run left neither model nor checkpoint.
        OSError: the shards are not there, or ``out`` cannot be written.
    """

    def __init__(self, uri: str, record: RunRecord, shards: str | None = None, out: str | Path = OUT) -> None:
        config = Config.from_dict(dict(record.config))
        name = RunName(id=record.run_id, name=record.name)
        self.store, self.run_id = uri, record.run_id
        self._model_id = logged_model(uri, record.run_id)
        self._checkpoint = "" if self._model_id else _checkpoint(record)
        super().__init__(name, config, shards or config.data.shards, out, self._model_id or self._checkpoint)

    @contextmanager
    def checkpoints(self, models: Sequence[TrainedModel]) -> Iterator[list[str]]:  # noqa: ARG002 - the one
        """Give the logged model, else the run's last checkpoint: both hold the same weights."""
        if self._checkpoint:
            yield [self._checkpoint]
            return
        with TemporaryFolder("model") as folder:
            yield [str(fetch_model(self.store, self._model_id, folder))]


class ModelTarget(OneModel):
    """A model in memory.

    Args:
        predictor: the model.
        name: whose it is.
        shards: as for ``OneModel``; those of the model where None.
        out: likewise.
    """

    def __init__(self, predictor: Predictor, name: RunName, shards: str | None = None, out: str | Path = OUT) -> None:
        self._predictor = predictor
        config = predictor.config
        super().__init__(name, config, shards or config.data.shards, out, _weights_hash(predictor))

    @contextmanager
    def checkpoints(self, models: Sequence[TrainedModel]) -> Iterator[list[str]]:  # noqa: ARG002 - the one
        """Give a folder with the model, written for the test."""
        predictor = self._predictor
        with TemporaryFolder("model") as folder:
            weights = predictor.model.state_dict()
            config, info = predictor.config.to_dict(), predictor.info.to_dict()
            save_model(folder, {"config": config, "info": info, "progress": {"best_model": weights}})
            yield [str(folder)]


def _checkpoint(record: RunRecord) -> str:
    try:
        return checkpoint_of(record)
    except TrackingError as error:
        raise TrackingError(f"{error}; nor has it a model in MLflow, as finished runs of dclf train have") from None


def _weights_hash(predictor: Predictor) -> str:
    digest = sha256()
    for name, tensor in sorted(predictor.model.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
