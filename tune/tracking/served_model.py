"""The code inside a logged model: what ``mlflow models serve`` and ``mlflow.pyfunc.load_model`` run.

MLflow copies this file and the ``dclf`` package into the model, so nothing else of the project may be imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from dclf.conversation import no_features, unlabelled_dialogue
from dclf.data.dialogue import Dialogue
from dclf.data.errors import DataError
from dclf.data.whole_numbers import whole_numbers
from dclf.inference import Predictor, load_model

ARTIFACT = "trained"


class DialogueModel(PythonModel):
    """Emotions of whole dialogues from a table with one row per utterance, a dialogue's rows in spoken order."""

    _predictor: Predictor

    def load_context(self, context: Any) -> None:
        """Read the trained model from the logged artifacts."""
        self._predictor = load_model(Path(context.artifacts[ARTIFACT]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """Emotion and class probabilities of every utterance, in the order of the rows.

        Args:
            context: unused; MLflow passes it.
            model_input: columns ``dialogue_id``, ``speaker`` and one per modality with a feature vector per row, or
                None or NaN where an utterance has none.
            params: unused; MLflow passes it.

        Returns:
            Columns ``dialogue_id``, ``emotion`` and ``probability/<class>``, the input's index.

        Raises:
            ValueError: a speaker is no whole number.
            DataError: features of another width, non-finite values, a dialogue without any, or unknown speakers.
        """
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
        widths = self._predictor.widths
        vectors = {m: [None if _is_absent(vector) else vector for vector in rows[m]] for m in widths}
        if all(vector is None for column in vectors.values() for vector in column):
            raise DataError([f"dialogue {name!r}: {no_features(widths)}"])
        return unlabelled_dialogue(name, speakers, vectors, widths)

    def _table(self, model_input: pd.DataFrame, probabilities: np.ndarray[Any, Any]) -> pd.DataFrame:
        names = self._predictor.info.class_names
        best = [names[i] for i in probabilities.argmax(axis=1)]
        columns = {f"probability/{name}": probabilities[:, i].astype(float) for i, name in enumerate(names)}
        return pd.DataFrame(
            {"dialogue_id": model_input["dialogue_id"], "emotion": best, **columns}, index=model_input.index
        )


def _is_absent(vector: Any) -> bool:
    return bool(pd.api.types.is_scalar(vector) and pd.isna(vector))


set_model(DialogueModel())
