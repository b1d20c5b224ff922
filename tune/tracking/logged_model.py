"""The model that a finished run has logged in MLflow: which one it is, and its files on this machine."""

from __future__ import annotations

from pathlib import Path

from tune.tracking.manners import manners
from tune.tracking.model import ARTIFACT
from tune.tracking.store import open_client
from tune.tracking.trouble import explained


def logged_model(uri: str, run_id: str) -> str:
    """Return MLflow's id of the best epoch's model of a run; empty where it has logged none.

    Args:
        uri: of the store, from ``tune.tracking.store.resolve_tracking_uri``.
        run_id: MLflow's id of the run.

    Raises:
        TrackingError: the store does not answer.
    """
    client = open_client(uri)
    with explained(uri), manners():
        outputs = client.get_run(run_id).outputs
        return outputs.model_outputs[-1].model_id if outputs and outputs.model_outputs else ""


def fetch_model(uri: str, model_id: str, folder: Path) -> Path:
    """Download a logged model, and return the folder that ``dclf.inference.load_model`` reads.

    Args:
        uri: of the store.
        model_id: from ``logged_model``.
        folder: for the download.

    Raises:
        TrackingError: the store does not answer, or has lost it.
    """
    client = open_client(uri)
    with explained(uri), manners() as mlflow:
        # By its place, as models:/ID would be looked for in MLflow's global store.
        place = f"{client.get_logged_model(model_id).artifact_location}/artifacts/{ARTIFACT}"
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=place, dst_path=str(folder), tracking_uri=uri))
