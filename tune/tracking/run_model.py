"""The best model of a recorded run, for what is done with it afterwards: perturbation tests, notebooks."""

from __future__ import annotations

from pathlib import Path

from cluster.storage import load_checkpoint
from cluster.temporary import TemporaryFolder
from dclf.inference import Predictor, load_model, predictor_of
from tune.tracking.find import RunRecord, checkpoint_of, find_run
from tune.tracking.manners import manners
from tune.tracking.model import ARTIFACT
from tune.tracking.store import open_client
from tune.tracking.trouble import TrackingError, explained


def load_run_model(uri: str, ref: str) -> tuple[RunRecord, Predictor]:
    """Return a run and its best epoch's model: the one logged in MLflow, else the one in the run's last checkpoint.

    Both hold the same weights. The logged model needs neither Ray nor the checkpoints' storage; a run that was cut
    short has the checkpoint alone.

    Args:
        uri: of the store, from ``tune.tracking.store.resolve_tracking_uri``.
        ref: a run id, the beginning of one, or a run's name.

    Raises:
        UnknownRunError: no run or several of them match.
        TrackingError: the store does not answer, or the run left neither model nor checkpoint.
        CheckpointError: what it left cannot be read.
    """
    record = find_run(uri, ref)
    logged = logged_model(uri, record.run_id)
    return record, logged if logged is not None else _checkpoint_model(record)


def logged_model(uri: str, run_id: str) -> Predictor | None:
    """Return the model that a run has logged in MLflow; None where it has none.

    Raises:
        TrackingError: the store does not answer.
        CheckpointError: the model cannot be read.
    """
    client = open_client(uri)
    with TemporaryFolder("model") as folder:
        with explained(uri), manners() as mlflow:
            outputs = client.get_run(run_id).outputs
            if not outputs or not outputs.model_outputs:
                return None
            # By its place, as models:/ID would be looked for in MLflow's global store.
            model = client.get_logged_model(outputs.model_outputs[-1].model_id)
            place = f"{model.artifact_location}/artifacts/{ARTIFACT}"
            path = mlflow.artifacts.download_artifacts(artifact_uri=place, dst_path=str(folder), tracking_uri=uri)
        return load_model(Path(path))


def _checkpoint_model(record: RunRecord) -> Predictor:
    try:
        return predictor_of(load_checkpoint(checkpoint_of(record)))
    except TrackingError as error:
        raise TrackingError(f"{error}; nor has it a model in MLflow, as finished runs of dclf train have") from None
