"""What a model says of every utterance of a split, as files of its run that MLflow's UI shows as tables."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from dclf.data import read_shards
from tune.tracking import writes
from tune.tracking.writes import Write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dclf.data import Dialogue
    from dclf.inference import Predictor

_log = logging.getLogger(__name__)
COLUMNS = ("dialogue", "utterance", "truth", "prediction")
"""Behind them, each emotion's probability."""
_TABLES_TAG = "mlflow.loggedArtifacts"
"""Tells MLflow's UI which files are tables, as its own ``log_table`` does, which would add to one that is there."""
_AT_A_TIME = 32
"""Dialogues whose features are in memory."""
_DIGITS = 4


def prediction_writes(predictor: Predictor, shards: str, splits: Sequence[str], training: str) -> list[Write]:
    """Return a table for each split, and the tag by which MLflow's UI shows them; none, with a warning, without shards.

    A training has ended well whose shards were moved or made anew meanwhile.

    Args:
        predictor: the model.
        shards: folder or URI of the dialogues.
        splits: ``val`` or ``test``.
        training: whose model it is, for the warning.
    """
    try:
        return list(_writes(predictor, shards, splits))
    except (ValueError, OSError) as error:
        _log.warning(f"{training}: what its model says of each utterance is not sent to MLflow ({error})")
        return []


def _writes(predictor: Predictor, shards: str, splits: Sequence[str]) -> Iterator[Write]:
    files = [f"results/predictions_{split}.json" for split in splits]
    for split, file in zip(splits, files, strict=True):
        columns = [*COLUMNS, *(f"probability/{name}" for name in predictor.info.class_names)]
        yield writes.text(file, json.dumps({"columns": columns, "data": list(_rows(predictor, shards, split))}))
    tables = [{"path": file, "type": "table"} for file in files]
    yield from writes.text_values("tags", {_TABLES_TAG: json.dumps(tables)})


def _rows(predictor: Predictor, shards: str, split: str) -> Iterator[list[Any]]:
    dialogues = iter(read_shards(shards, split=split, modalities=predictor.modalities))
    while group := list(islice(dialogues, _AT_A_TIME)):
        for dialogue, probabilities in zip(group, predictor.predict(group), strict=True):
            yield from _of_dialogue(dialogue, probabilities, predictor.info.class_names)


def _of_dialogue(dialogue: Dialogue, probabilities: NDArray[np.float32], classes: Sequence[str]) -> Iterator[list[Any]]:
    """A row for every utterance, from 0; the truth of an unlabelled one is null."""
    for place, (label, row) in enumerate(zip(dialogue.labels, probabilities, strict=True)):
        truth = classes[int(label)] if label >= 0 else None
        shares = [round(float(share), _DIGITS) for share in row]
        yield [dialogue.dialogue_id, place, truth, classes[int(row.argmax())], *shares]
