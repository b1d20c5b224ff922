"""Emotions of conversations that nobody labelled, by the model of a run: what ``dclf predict`` does, for notebooks too.

>>> from tune.predictions import load_predictor, predict
>>> predict("3f2a91c0", "conversation.json")  # doctest: +SKIP
>>> session = load_predictor("3f2a91c0").session()  # doctest: +SKIP

Features come with the conversation, or are made of its words and recordings as those of the run's shards were
(``dclf.extraction.conversations``), where ``dclf data extract`` made these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.conversation import Speakers
from dclf.conversation_json import ConversationReader, JsonConversation, JsonUtterance
from dclf.conversation_text import look_ahead, parse
from dclf.data import DataError, Dialogue, read_shards
from dclf.data.storage import absolute, is_remote
from dclf.errors import AbsentFileError, WrongInputError, require_names
from dclf.inference import Predictor
from tune.analysis.perturbation.scorer import read_predictor
from tune.analysis.prediction_results import PredictedConversation, PredictedUtterance, Predictions
from tune.config.sweep_settings import SweepSettings
from tune.study.checkpoints import has_checkpoint
from tune.study.folder import StudyFolder
from tune.study.places import StudyError
from tune.study.training_files import at_hand
from tune.tracking.find import TrialRun, find_trial
from tune.tracking.manners import mlflow_settings
from tune.tracking.run_model import load_run_model, logged_model
from tune.tracking.store import resolve_tracking_uri

_AT_A_TIME = 32
"""Dialogues of shards whose features are in memory."""


@dataclass(frozen=True, kw_only=True)
class RunModel:
    """The best epoch's model of a run.

    Attributes:
        run_id: MLflow's id.
        name: of the run.
        predictor: the model.
    """

    run_id: str
    name: str
    predictor: Predictor

    def predictions(self, conversations: Iterable[PredictedConversation]) -> Predictions:
        """Return these conversations as predictions of this run's model."""
        classes = self.predictor.info.class_names
        return Predictions(run_id=self.run_id, name=self.name, class_names=classes, conversations=tuple(conversations))

    def reader(self, source: str = "", speakers: Sequence[str] = (), folder: str = "") -> ConversationReader:
        """Reads conversations for this model.

        Args:
            source: where they are from, for messages.
            speakers: names of those with the model's numbers 0, 1 and so on.
            folder: in which paths of recordings begin; the working directory where empty.

        Raises:
            ValueError: the model knows fewer speakers.
        """
        count = self.predictor.info.speaker_count
        Speakers(count, speakers)
        return ConversationReader(self.predictor.extractors, count, tuple(speakers), source, folder)


@mlflow_settings()
def predict(
    run: str,
    source: str | PathLike[str] | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    split: str | None = None,
    speakers: Sequence[str] = (),
    encoders: Mapping[str, str] | None = None,
    uri: str = "",
    storage: str | Path = SweepSettings.storage,
) -> Predictions:
    """Predict the emotion of every utterance of conversations; labels are neither needed nor read.

    Words and recordings become features by the settings with which ``dclf data extract`` made the run's shards.

    Args:
        run: id or name of a run of ``dclf train``, or of a training of a study.
        source: folder or URI of shards, a file of JSON, or what such a file holds; docs/prediction.md has the form.
        split: of shards, the split to predict; all where None.
        speakers: of JSON, names of those with the model's numbers 0, 1 and so on; in the order in which they come up
            where a conversation does not say either.
        encoders: modality -> folder in which its encoder lies now, where it lay elsewhere when the shards were made.
        uri: MLflow tracking URI; as ``track.uri`` where empty.
        storage: folder of studies, or a URI of one, where the run is a training of a study.

    Raises:
        TrackingError: no such run, or it left no model.
        StudyError: the run's study, or its checkpoint, is not there.
        CheckpointError: the model cannot be read.
        DataError: the conversations do not fit the model, or have nothing that it could read.
        ExtractionError, ExtensionError: words or recordings cannot be made into features here.
        OSError: the source is not there.
    """
    require_names(speakers=speakers)
    model = load_run(run, encoders=encoders, uri=uri, storage=storage)
    return predict_source(model, source, split=split, speakers=speakers)


@mlflow_settings()
def load_predictor(
    run: str, *, encoders: Mapping[str, str] | None = None, uri: str = "", storage: str | Path = SweepSettings.storage
) -> Predictor:
    """The best epoch's model of a run, for ``Predictor.predict`` and ``Predictor.session``.

    Args:
        run: as for ``predict``, and what it raises for it.
        encoders: likewise.
        uri: likewise.
        storage: likewise.
    """
    return load_run(run, encoders=encoders, uri=uri, storage=storage).predictor


def load_run(
    run: str, *, encoders: Mapping[str, str] | None = None, uri: str = "", storage: str | Path = SweepSettings.storage
) -> RunModel:
    """The model of a run; neither Ray nor a cluster is needed. As ``load_predictor``."""
    model = _load_run(run, uri, storage)
    model.predictor.extractors.locate(encoders or {})
    return model


def _load_run(run: str, uri: str, storage: str | Path) -> RunModel:
    store = resolve_tracking_uri(uri)
    if (trial := find_trial(store, run)) is not None:
        # The winner's and every variant's lie in MLflow, wherever the study's folder is.
        logged = logged_model(store, trial.run_id)
        predictor = _trained(trial, storage) if logged is None else logged
        return RunModel(run_id=trial.run_id, name=trial.name, predictor=predictor)
    record, predictor = load_run_model(store, run)
    return RunModel(run_id=record.run_id, name=record.name, predictor=predictor)


def predict_source(
    model: RunModel, source: Any, *, split: str | None = None, speakers: Sequence[str] = ()
) -> Predictions:
    """As ``predict``, with a model that is loaded.

    Raises:
        DataError, ExtractionError, ExtensionError, OSError, ValueError: as ``predict``.
    """
    if not isinstance(source, str | PathLike):
        _only_for_shards(split)
        return _predict_all(model, model.reader("", speakers).document(source))
    place = fspath(source)
    if not is_json(place):
        if speakers:
            raise WrongInputError(
                f"speakers must be left out for shards, whose speakers have numbers; are {list(speakers)}"
            )
        return model.predictions(_of_shards(model.predictor, place, split))
    _only_for_shards(split)
    path = Path(absolute(place))
    if not path.exists():
        raise AbsentFileError(f"{place}: must be a file of JSON, a folder or a URI of shards, is absent")
    with path.open("rb") as file:
        lines, streamed = look_ahead(file)
        if streamed:
            return _predict_all(model, [_whole(model.reader(place, speakers, str(path.parent)), lines)])
        return predict_document(model, lines, source=place, speakers=speakers, folder=str(path.parent))


def predict_document(
    model: RunModel, lines: Iterable[bytes], *, source: str = "", speakers: Sequence[str] = (), folder: str = ""
) -> Predictions:
    """Predict the conversations of one document of JSON.

    Args:
        model: from ``load_run``.
        lines: of the document, in UTF-8.
        source: where it is from, for messages.
        speakers: as for ``predict``.
        folder: in which paths of recordings begin; the working directory where empty.

    Raises:
        DataError: the JSON has mistakes, all of which are named.
        ValueError: the model knows fewer speakers.
        ExtractionError, ExtensionError: as ``predict``.
    """
    return _predict_all(model, model.reader(source, speakers, folder).document(parse(b"".join(lines), source)))


def predict_lines(
    model: RunModel, lines: Iterable[bytes], *, source: str = "", speakers: Sequence[str] = ()
) -> Iterator[PredictedUtterance]:
    """Predict a conversation that comes in as JSON lines, one utterance each.

    A causal model answers each before it asks for the next, a bidirectional one when all are there.

    Args:
        model: from ``load_run``.
        lines: JSON in UTF-8; blank ones are passed over.
        source: where they are from, for messages.
        speakers: as for ``predict``.

    Raises:
        DataError: a line has mistakes, all of which are named; what was answered before holds.
        ValueError: the model knows fewer speakers.
        ExtractionError, ExtensionError: as ``predict``.
    """
    reader, classes = model.reader(source, speakers), model.predictor.info.class_names
    if not model.predictor.config.model.causal:
        for conversation in _predict_all(model, [_whole(reader, lines)]).conversations:
            yield from conversation.utterances
        return
    session = model.predictor.session(speakers)
    for utterance in _utterances(reader, lines, session.speakers):
        reader.refuse_mistakes()
        assert utterance is not None
        vectors = {modality: vector for modality, (vector,) in reader.vectors([utterance]).items()}
        row = session.hear(utterance.speaker, vectors)
        yield PredictedUtterance.of(str(utterance.speaker), utterance.text, row, classes)


def _trained(trial: TrialRun, storage: str | Path) -> Predictor:
    """The model of one training of a study, from its checkpoint."""
    try:
        study = StudyFolder.open(storage, trial.study)
    except StudyError as error:
        raise StudyError(f"run {trial.name} is of study {trial.study!r}, whose folder is needed: {error}") from None
    place = study.checkpoint(trial.trial, trial.seed)
    if not has_checkpoint(place):
        raise StudyError(
            f"run {trial.name} has no checkpoint in {study.address}: it has not begun, or dclf gc has deleted it; name "
            f"another trial of the study (dclf show {trial.study}), or train this one alone"
        )
    with at_hand(study.address_of(place)) as folder:
        return read_predictor(folder)


def is_json(place: str) -> bool:
    """Whether a source is a file of JSON, and not a folder or URI of shards."""
    if is_remote(place):
        return False
    path = Path(absolute(place))
    return path.is_file() or (path.suffix in (".json", ".jsonl") and not path.is_dir())


def _only_for_shards(split: str | None) -> None:
    if split is not None:
        raise WrongInputError(f"split must be left out for JSON, which has none, is {split!r}")


def _of_shards(predictor: Predictor, place: str, split: str | None) -> Iterator[PredictedConversation]:
    shards = read_shards(place, split=split, modalities=predictor.modalities)
    predictor.check(shards.info, labels=False)
    if not len(shards):
        has = ", ".join(f"{count} of {name}" for name, count in shards.splits.items() if count)
        raise DataError([f"{place} must have dialogues{f' of split {split}' if split else ''}, has {has or 'none'}"])
    dialogues = iter(shards)
    while group := list(islice(dialogues, _AT_A_TIME)):
        for dialogue, rows in zip(group, predictor.predict(group), strict=True):
            speakers = [str(number) for number in dialogue.speakers]
            yield _predicted(dialogue, speakers, rows, predictor.info.class_names, dialogue.split)


def _predict_all(model: RunModel, conversations: Sequence[JsonConversation]) -> Predictions:
    rows = model.predictor.predict([one.dialogue for one in conversations])
    classes = model.predictor.info.class_names
    return model.predictions(
        _predicted(one.dialogue, one.speakers, part, classes) for one, part in zip(conversations, rows, strict=True)
    )


def _predicted(
    dialogue: Dialogue, speakers: Sequence[str], rows: NDArray[np.float32], classes: Sequence[str], split: str = ""
) -> PredictedConversation:
    words = dialogue.utterances or [""] * len(dialogue)
    turns = zip(speakers, words, rows, strict=True)
    utterances = tuple(PredictedUtterance.of(speaker, text, row, classes) for speaker, text, row in turns)
    return PredictedConversation(id=dialogue.dialogue_id, split=split, utterances=utterances)


def _whole(reader: ConversationReader, lines: Iterable[bytes]) -> JsonConversation:
    """The conversation of JSON lines, when they have ended; with mistakes, those of all lines are told."""
    speakers = Speakers(reader.speaker_count, reader.names)
    utterances = [one for one in _utterances(reader, lines, speakers) if one is not None]
    reader.refuse_mistakes()
    conversation = reader.conversation("1", utterances, speakers)
    reader.refuse_unreadable([conversation])
    return conversation


def _utterances(
    reader: ConversationReader, lines: Iterable[bytes], speakers: Speakers
) -> Iterator[JsonUtterance | None]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield reader.line(line, number, speakers)
