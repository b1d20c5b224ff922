"""The trained model as an MLflow model: packed on the driver, sent by the outbox."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import yaml

from cluster.temporary import TemporaryFolder
from dclf.models import BASE_MODELS
from tune.tracking.manners import manners
from tune.tracking.redact import clean

NAME = "dclf"
_REQUIREMENTS = ("mlflow", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "fsspec")
ARTIFACT = "trained"
"""Under which name the served code finds the trained model."""


def pack_model(model_folder: Path, target: Path) -> None:
    """Write a folder that ``mlflow models`` can serve: code, weights, signature, example and pinned requirements.

    Nothing is downloaded or installed, and no prediction is run.

    Args:
        model_folder: what ``dclf.inference.save_model`` wrote.
        target: folder to make.

    Raises:
        CheckpointError: the model folder cannot be read.
    """
    import dclf  # noqa: PLC0415 - only its place is wanted
    from dclf.inference import load_model, save_model  # noqa: PLC0415 - imports torch

    predictor = load_model(model_folder)
    widths = {m: predictor.info.widths[m] for m in predictor.modalities}
    config = clean(predictor.config.to_dict())  # a password in it would travel with the model
    own = own_code(predictor.config.model.name)
    if own:
        # Its code goes along, the entry point of the package that it is from does not.
        config["model"]["name"] = BASE_MODELS.class_path(predictor.config.model.name)
    state = {
        "config": config,
        "info": predictor.info.to_dict(),
        "progress": {"best_model": predictor.model.state_dict()},
    }
    with TemporaryFolder("model") as folder, manners() as mlflow, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints when pyfunc is first imported
        save_model(trained := folder / ARTIFACT, state)
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={ARTIFACT: str(trained)},
            code_paths=[str(Path(dclf.__file__).parent), *own],
            signature=_signature(mlflow, widths, predictor.info.class_names),
            input_example=_example(widths),
            pip_requirements=requirements(),
        )


def own_code(model: str) -> list[str]:
    """The file or folder that a base model of another package is in; nothing for one that ships.

    Args:
        model: ``model.name``.
    """
    if model in BASE_MODELS.shipped:
        return []
    top = import_module(BASE_MODELS.class_path(model).partition(":")[0].partition(".")[0])
    places = list(getattr(top, "__path__", [])) or [top.__file__]
    return [str(place) for place in places if place is not None]


def requirements() -> list[str]:
    """The packages that serving needs, at the versions that trained the model."""
    return [f"{name}=={metadata.version(name).split('+')[0]}" for name in _REQUIREMENTS]


def _signature(mlflow: Any, widths: Mapping[str, int], class_names: tuple[str, ...]) -> Any:
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema  # noqa: PLC0415 - MLflow is imported where it is used

    ids = [ColSpec(DataType.string, "dialogue_id")]
    # Of any type, as no other may be None, or NaN as pandas fills in; the served code says what is wrong with one.
    anything = AnyType()  # type: ignore[no-untyped-call]
    features = [ColSpec(anything, modality) for modality in widths]
    scores = [ColSpec(DataType.double, f"probability/{name}") for name in class_names]
    return mlflow.models.ModelSignature(
        inputs=Schema([*ids, ColSpec(DataType.long, "speaker"), *features]),
        outputs=Schema([*ids, ColSpec(DataType.string, "emotion"), *scores]),
    )


def _example(widths: Mapping[str, int]) -> Any:
    """Two speakers exchanging one utterance each, all features zero but the first."""
    import pandas as pd  # noqa: PLC0415 - as slow to import as MLflow

    features = {m: [[0.5, *[0.0] * (width - 1)] for _ in range(2)] for m, width in widths.items()}
    return pd.DataFrame({"dialogue_id": ["d1", "d1"], "speaker": [0, 1], **features})


def new_token() -> str:
    """Tells one write of a model from another when it is sent again."""
    return uuid.uuid4().hex


def send_model(client: Any, run_id: str, experiment_id: str, body: Mapping[str, Any]) -> None:
    """Create, upload, link and finish a logged model; does what is left when it was cut short before.

    Args:
        client: an ``mlflow.MlflowClient``.
        run_id: the run that trained it.
        experiment_id: the run's experiment.
        body: ``folder`` that ``pack_model`` wrote, ``token`` of this write, ``scores`` of the model with the ``step``
            and ``timestamp`` under which the run has them too, so that the run keeps one copy.
    """
    with manners() as mlflow:
        model = _created(client, run_id, experiment_id, body["token"])
        if model.status == "READY":
            return
        _address(mlflow, Path(body["folder"]), model, run_id)
        client.log_model_artifacts(model.model_id, body["folder"])
        _link(mlflow.entities, client, run_id, model.model_id, body["step"])
        stamp = {"step": body["step"], "timestamp": body["timestamp"], "model_id": model.model_id}
        batch = [mlflow.entities.Metric(key=key, value=value, **stamp) for key, value in body["scores"].items()]
        client.log_batch(run_id, metrics=batch, synchronous=True)
        client.finalize_logged_model(model.model_id, "READY")


def _created(client: Any, run_id: str, experiment_id: str, token: str) -> Any:
    models = client.search_logged_models([experiment_id], filter_string=f"tags.`dclf.write` = '{token}'")
    if models:
        return models[0]
    return client.create_logged_model(
        experiment_id, name=NAME, source_run_id=run_id, tags={"dclf.write": token}, model_type="classifier"
    )


def _address(mlflow: Any, folder: Path, model: Any, run_id: str) -> None:
    """Write the model's id into its MLmodel file, which was made before the server gave one."""
    file = folder / "MLmodel"
    card = mlflow.models.Model.from_dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    card.artifact_path, card.run_id = model.artifact_location, run_id
    card.model_id = card.model_uuid = model.model_id
    card.save(str(file))


def _link(entities: Any, client: Any, run_id: str, model_id: str, step: int) -> None:
    outputs = client.get_run(run_id).outputs
    linked = {output.model_id for output in outputs.model_outputs} if outputs else set()
    if model_id not in linked:
        client.log_outputs(run_id, [entities.LoggedModelOutput(model_id, step=step)])
