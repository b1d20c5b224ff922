"""The code inside a logged model: what ``mlflow models serve`` and ``mlflow.pyfunc.load_model`` run.

MLflow copies this file and the ``dclf`` package into the model, so nothing else of the project may be imported here.

Environment variables say what the model cannot know where it serves: ``DCLF_ENCODER_TEXT`` and its like the folder of
an encoder that does not lie where it lay when the shards were made, and ``DCLF_MEDIA_DIR`` the one folder of recordings
that requests may name. Without the latter none may: whoever may ask for a prediction must not choose what files the
server opens.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from dclf.conversation import no_features, raw_problems, raw_utterance, unlabelled_dialogue
from dclf.data.dialogue import Dialogue
from dclf.data.errors import DataError
from dclf.data.whole_numbers import whole_numbers
from dclf.extraction.contract import Utterance
from dclf.extraction.conversations import environment_name
from dclf.inference import Predictor, load_model
from dclf.prose import quantity

ARTIFACT = "trained"
MEDIA_DIR = "DCLF_MEDIA_DIR"
ROWS_NAMED = 20
RAW = {"words": "text", "media": "media", "start": "start", "end": "end"}
"""Column -> what it is of an utterance; the column ``text`` has vectors."""


class DialogueModel(PythonModel):
    """Emotions of whole dialogues from a table with one row per utterance, a dialogue's rows in spoken order."""

    _predictor: Predictor
    _extracting: Lock
    """The server predicts in threads; an encoder is opened once, and many are for one thread at a time."""

    def load_context(self, context: Any) -> None:
        """Read the trained model from the logged artifacts.

        Raises:
            ExtractionError: the environment names an encoder that is not the run's.
        """
        self._predictor, self._extracting = load_model(Path(context.artifacts[ARTIFACT])), Lock()
        places = {modality: os.environ.get(environment_name(modality), "") for modality in self._predictor.modalities}
        self._predictor.extractors.locate({modality: place for modality, place in places.items() if place})

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """Emotion and class probabilities of every utterance, in the order of the rows.

        Args:
            context: unused; MLflow passes it.
            model_input: columns ``dialogue_id``, ``speaker`` and one per modality with a feature vector per row, or
                None or NaN where an utterance has none. Where dclf extracted the run's shards, a vector that is not
                there is made of the row's ``words``, or of its recording ``media`` from second ``start`` to ``end``.
            params: unused; MLflow passes it.

        Returns:
            Columns ``dialogue_id``, ``emotion`` and ``probability/<class>``, the input's index.

        Raises:
            ValueError: a speaker is no whole number.
            DataError: rows without a dialogue_id, features of another width, non-finite values, a dialogue without
                any, unknown speakers, or a recording that the server may not read.
            ExtractionError, ExtensionError: words or recordings cannot be made into features here.
        """
        _refuse_null_ids(model_input["dialogue_id"])
        places = list(model_input.groupby("dialogue_id", sort=False).indices.items())
        dialogues = self._dialogues([(str(name), model_input.iloc[rows]) for name, rows in places])
        probabilities = np.empty((len(model_input), len(self._predictor.info.class_names)), np.float32)
        for (_, rows), result in zip(places, self._predictor.predict(dialogues), strict=True):
            probabilities[rows] = result
        return self._table(model_input, probabilities)

    def _dialogues(self, tables: list[tuple[str, pd.DataFrame]]) -> list[Dialogue]:
        """Return the dialogues of these ids and rows, or raise with what is wrong in any of them."""
        dialogues: list[Dialogue] = []
        problems: list[str] = []
        for name, rows in tables:
            try:
                dialogues.append(self._dialogue(name, rows))
            except DataError as error:
                problems += error.problems
        if problems:
            raise DataError(problems)
        return dialogues

    def _dialogue(self, name: str, rows: pd.DataFrame) -> Dialogue:
        speakers = whole_numbers(rows["speaker"].to_numpy(), f"dialogue {name}: speaker")
        widths, extractors = self._predictor.widths, self._predictor.extractors
        places = [f"dialogue {name!r} utterance {i}" for i in range(len(rows))]
        raw = _raw_utterances(_cells(rows, RAW), places)
        with self._extracting:
            vectors = extractors.vectors(_cells(rows, {modality: modality for modality in widths}), raw, places)
        if all(vector is None for column in vectors.values() for vector in column):
            raise DataError([f"dialogue {name!r}: {no_features(widths, extractors.reads())}"])
        return unlabelled_dialogue(name, speakers, vectors, widths)

    def _table(self, model_input: pd.DataFrame, probabilities: np.ndarray[Any, Any]) -> pd.DataFrame:
        names = self._predictor.info.class_names
        best = [names[i] for i in probabilities.argmax(axis=1)]
        columns = {f"probability/{name}": probabilities[:, i].astype(float) for i, name in enumerate(names)}
        return pd.DataFrame(
            {"dialogue_id": model_input["dialogue_id"], "emotion": best, **columns}, index=model_input.index
        )


def _refuse_null_ids(ids: pd.Series[Any]) -> None:
    """Raise DataError with the rows that are of no dialogue: they would be grouped with none, and so have no answer."""
    rows = np.flatnonzero(ids.isna())
    if len(rows):
        numbers = ", ".join(map(str, rows[:ROWS_NAMED])) + ("" if len(rows) <= ROWS_NAMED else ", ...")
        raise DataError(
            [f"dialogue_id must be a text in every row, is null in {quantity(len(rows), 'row')}: {numbers}"]
        )


def _cells(rows: pd.DataFrame, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """What each row has in these columns, by what they are called here; an absent cell is no key."""
    there = {column: name for column, name in columns.items() if column in rows}
    return [
        {name: row[column] for column, name in there.items() if not _is_absent(row[column])}
        for row in rows[list(there)].to_dict("records")
    ]


def _raw_utterances(cells: list[dict[str, Any]], places: list[str]) -> list[Utterance]:
    """The words and recordings of rows.

    Raises:
        DataError: they are none, or lie where the server reads none.
    """
    names = {name: column for column, name in RAW.items()}
    problems = [
        f"{place}: {names[key]} {problem}"
        for place, cell in zip(places, cells, strict=True)
        for key, problem in (raw_problems(cell) or _media_problems(cell)).items()
    ]
    if problems:
        raise DataError(problems)
    return [raw_utterance(cell, os.environ.get(MEDIA_DIR, "")) for cell in cells]


def _media_problems(cell: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a row's recording: nothing is said of what lies outside the folder."""
    if "media" not in cell:
        return {}
    folder = os.environ.get(MEDIA_DIR)
    if not folder:
        return {
            "media": f"must be left out: this server reads no recordings, as {MEDIA_DIR} does not name their folder"
        }
    whole = Path(folder).resolve()
    if Path(cell["media"]).is_absolute() or not (whole / cell["media"]).resolve().is_relative_to(whole):
        return {"media": "must be a path within the server's folder of recordings, which it leaves"}
    return {}


def _is_absent(vector: Any) -> bool:
    return bool(pd.api.types.is_scalar(vector) and pd.isna(vector))


set_model(DialogueModel())
