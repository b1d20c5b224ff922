"""The trained model as an MLflow model: packed on the driver, sent by the outbox."""

from __future__ import annotations

import logging
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cluster.temporary import TemporaryFolder
from dclf.extensions import ExtensionError, ExtensionPoint
from dclf.extraction.contract import ExtractionError, ExtractorSettings
from dclf.extraction.conversations import EXTRACTION
from dclf.extraction.registry import EXTRACTORS
from dclf.models import BASE_MODELS
from tune.tracking.manners import manners
from tune.tracking.redact import clean

if TYPE_CHECKING:
    from dclf.inference import Predictor

_log = logging.getLogger(__name__)
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
    extraction, name = _extraction(predictor), predictor.config.model.name
    reads = {modality: one.reads for modality, one in extraction.items()}
    own = [place for one in extraction.values() for place in own_code(EXTRACTORS, one.name)]
    needed = [package for one in extraction.values() for package in one.packages]
    with TemporaryFolder("model") as folder, manners() as mlflow, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints when pyfunc is first imported
        save_model(trained := folder / ARTIFACT, _portable_state(predictor, extraction))
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={ARTIFACT: str(trained)},
            code_paths=list(dict.fromkeys([str(Path(dclf.__file__).parent), *own_code(BASE_MODELS, name), *own])),
            signature=_signature(mlflow, predictor.widths, reads, predictor.info.class_names),
            input_example=_example(predictor.widths, words="text" in reads.values()),
            pip_requirements=requirements(needed),
        )


def _extraction(predictor: Predictor) -> dict[str, ExtractorSettings]:
    """Modality -> settings, of those that are made of words or recordings; a run does not fail for what is not here."""
    try:
        return predictor.extractors.settings()
    except (ExtractionError, ExtensionError) as error:
        _log.warning("the model in MLflow takes feature vectors alone, no words or recordings: %s", error)
        return {}


def _portable_state(predictor: Predictor, modalities: Iterable[str]) -> dict[str, Any]:
    """The trained model without what must not travel, by names that are known where it goes.

    Args:
        predictor: the model.
        modalities: those that can be made of words or recordings.
    """
    # A password in them would travel with the model.
    config, info = clean(predictor.config.to_dict()), clean(predictor.info.to_dict())
    # Own code goes along, the entry points of the packages that it is from do not.
    config["model"]["name"] = _portable(BASE_MODELS, predictor.config.model.name)
    for modality in modalities:
        facts = info["provenance"][EXTRACTION][modality]
        facts["extractor"] = _portable(EXTRACTORS, facts["extractor"])
    return {"config": config, "info": info, "progress": {"best_model": predictor.model.state_dict()}}


def own_code(point: ExtensionPoint, name: str) -> list[str]:
    """The file or folder that an extension of another package is in; nothing for one that ships.

    Args:
        point: its kind.
        name: as the configuration or the provenance has it.
    """
    if name in point.shipped:
        return []
    top = import_module(point.class_path(name).partition(":")[0].partition(".")[0])
    places = list(getattr(top, "__path__", [])) or [top.__file__]
    return [str(place) for place in places if place is not None]


def _portable(point: ExtensionPoint, name: str) -> str:
    """What finds an extension where its package is not installed, and its code is."""
    return name if name in point.shipped else point.class_path(name)


def requirements(more: Sequence[str] = ()) -> list[str]:
    """The packages that serving needs, at the versions that trained the model.

    Args:
        more: beside those that every model needs.
    """
    return [_pinned(name) for name in dict.fromkeys((*_REQUIREMENTS, *more))]


def _pinned(name: str) -> str:
    try:
        return f"{name}=={metadata.version(name).split('+')[0]}"
    except metadata.PackageNotFoundError:  # shards extracted elsewhere train without what extracted them
        return name


def _signature(mlflow: Any, widths: Mapping[str, int], reads: Mapping[str, str], class_names: tuple[str, ...]) -> Any:
    """Of the served code; what words or recordings can be made into may be left out.

    Args:
        mlflow: the module.
        widths: modality -> D_m, of what the model reads.
        reads: modality -> ``text`` or ``recording``, of those that can be made.
        class_names: the emotions.
    """
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema  # noqa: PLC0415 - MLflow is imported where it is used

    ids = [ColSpec(DataType.string, "dialogue_id")]
    # Of any type, as no other may be None, or NaN as pandas fills in; the served code says what is wrong with one.
    anything = AnyType()  # type: ignore[no-untyped-call]
    features = [ColSpec(anything, modality, required=modality not in reads) for modality in widths]
    words = [ColSpec(anything, "words", required=False)] if "text" in reads.values() else []
    media = [ColSpec(anything, column, required=False) for column in ("media", "start", "end")]
    raw = [*words, *(media if "recording" in reads.values() else [])]
    scores = [ColSpec(DataType.double, f"probability/{name}") for name in class_names]
    return mlflow.models.ModelSignature(
        inputs=Schema([*ids, ColSpec(DataType.long, "speaker"), *features, *raw]),
        outputs=Schema([*ids, ColSpec(DataType.string, "emotion"), *scores]),
    )


def _example(widths: Mapping[str, int], *, words: bool) -> Any:
    """Two speakers exchanging one utterance each, all features zero but the first.

    Args:
        widths: modality -> D_m, of what the model reads.
        words: whether it reads words too. They come beside the vectors, so that no encoder is needed for the example.
    """
    import pandas as pd  # noqa: PLC0415 - as slow to import as MLflow

    features: dict[str, Any] = {m: [[0.5, *[0.0] * (width - 1)] for _ in range(2)] for m, width in widths.items()}
    texts = {"words": ["How can I help you?", "My parcel has not come."]} if words else {}
    return pd.DataFrame({"dialogue_id": ["d1", "d1"], "speaker": [0, 1], **features, **texts})


def new_token() -> str:
    """Tells one write of a model from another when it is sent again."""
    return uuid.uuid4().hex


def send_model(client: Any, run_id: str, experiment_id: str, body: Mapping[str, Any]) -> None:
    """Create, upload, link and finish a logged model; does what is left when it was cut short before.

    Args:
        client: an ``mlflow.MlflowClient``.
        run_id: the run that trained it.
        experiment_id: the run's experiment.
        body: ``folder`` that ``pack_model`` wrote, ``token`` of this write (the run's id where empty: a run with one
            model), ``scores`` of the model with the ``step`` and ``timestamp`` under which the run has them too, so
            that the run keeps one copy.
    """
    with manners() as mlflow:
        model = _created(client, run_id, experiment_id, body["token"] or run_id)
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
