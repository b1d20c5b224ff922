"""One model as a target of perturbation tests: a run in MLflow, as a study of one training, or a model in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cluster.temporary import TemporaryFolder
from dclf.inference import Predictor, save_model
from tune.analysis.perturbation.files import OUT
from tune.analysis.perturbation.paper import model_label
from tune.analysis.perturbation.scores import Perturbations
from tune.analysis.perturbation.tables import PerturbedVariant, run_row
from tune.analysis.perturbation.target import Target, TrainedModel
from tune.tracking.run_model import load_run_model


@dataclass(frozen=True, kw_only=True)
class RunName:
    """The run whose model is tested.

    Attributes:
        id: MLflow's, or another that can name a folder.
        name: for people.
    """

    id: str
    name: str


class RunTarget(Target):
    """A model in memory, such as that of a run in MLflow.

    Args:
        predictor: the model.
        run: whose it is; the id names the folder of the results.
        shards: folder or URI of what it is scored on; those of the model where None.
        out: folder for substitutions and results.
        store: URI of the MLflow store that has the run; empty for none.

    Raises:
        OSError: the shards are not there, or ``out`` cannot be written.
    """

    def __init__(
        self,
        predictor: Predictor,
        run: RunName,
        *,
        shards: str | None = None,
        out: str | Path = OUT,
        store: str = "",
    ) -> None:
        super().__init__("run", run.name, shards or predictor.config.data.shards, out)
        self.title = f"run {run.name} ({run.id}), {model_label(predictor.config)},"
        self.run, self.predictor = run, predictor
        self.store, self.run_id = store, run.id
        self.identity = _weights_hash(predictor)

    def folder(self, split: str) -> Path:
        """Return the run's folder beside the substitutions."""
        return self.suite.run(self.run.id, split)

    def models(self, split: str) -> list[TrainedModel]:
        """Return the one model."""
        folder = self.folder(split)
        model = TrainedModel(
            name=f"run {self.name}",
            run_id=self.run.id,
            run_name=self.name,
            config=self.predictor.config,
            folder=folder,
            address=str(folder),
        )
        return [model]

    @contextmanager
    def checkpoints(self, models: Sequence[TrainedModel]) -> Iterator[list[str]]:  # noqa: ARG002 - the one
        """Give a folder with the model, written for the test."""
        predictor = self.predictor
        with TemporaryFolder("model") as folder:
            weights = {"best_model": predictor.model.state_dict()}
            config, info = predictor.config.to_dict(), predictor.info.to_dict()
            save_model(folder, {"config": config, "info": info, "progress": weights})
            yield [str(folder)]

    def rows(self, scores: Perturbations) -> list[PerturbedVariant]:
        """Return the one row."""
        return [run_row(scores, self.predictor.config, str(self.shards.path))]


def run_target(uri: str, ref: str, *, shards: str | None = None, out: str | Path = OUT) -> RunTarget:
    """Return the target for a run in MLflow.

    Args:
        uri: of the store.
        ref: a run id, the beginning of one, or a run's name.
        shards: folder or URI of what it is scored on; those of the run where None.
        out: folder for substitutions and results.

    Raises:
        UnknownRunError: no run or several of them match.
        TrackingError: the store does not answer, or the run left neither model nor checkpoint.
        CheckpointError: what it left cannot be read.
        OSError: the shards are not there, or ``out`` cannot be written.
    """
    record, predictor = load_run_model(uri, ref)
    shards = shards or record.here(predictor.config.data.shards)
    return RunTarget(predictor, RunName(id=record.run_id, name=record.name), shards=shards, out=out, store=uri)


def _weights_hash(predictor: Predictor) -> str:
    digest = sha256()
    for name, tensor in sorted(predictor.model.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
