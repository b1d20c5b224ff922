"""A dialogue as a person reads it: who says what, with which emotion, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dclf.data.dialogue import UNLABELLED, DatasetInfo, Dialogue
from dclf.prose import join_words, printable, quantity

NO_LABEL, NO_WORDS = "(no label)", "(no transcript)"


def readable(dialogue: Dialogue, info: DatasetInfo) -> str:
    """The dialogue as lines of text: a head, then speaker, emotion, words and missing modalities of every utterance.

    Args:
        dialogue: to show.
        info: the dataset facts, for the names of emotions and sentiments.
    """
    name, size = printable(dialogue.dialogue_id), quantity(len(dialogue), "utterance")
    head = f"{name}: {dialogue.split}, {size}, {_features(dialogue)}"
    rows = list(_rows(dialogue, info))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  " + "  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=False)), *row[3:]]) for row in rows
    ]
    return "\n".join(line.rstrip() for line in (head, *lines))


def _features(dialogue: Dialogue) -> str:
    return ", ".join(f"{modality} {matrix.shape[1]}" for modality, matrix in dialogue.features.items())


def _rows(dialogue: Dialogue, info: DatasetInfo) -> Iterator[list[str]]:
    for turn in range(len(dialogue)):
        missing = [m for m, there in dialogue.present.items() if not there[turn]]
        missing += [m for m, rows in dialogue.features.items() if m not in missing and not np.any(rows[turn])]
        words = printable(dialogue.utterances[turn]) if dialogue.utterances else NO_WORDS
        without = [f"[no {join_words(missing, 'or')}]"] if missing else []
        yield [str(turn), f"speaker {dialogue.speakers[turn]}", _emotion(dialogue, info, turn), words, *without]


def _emotion(dialogue: Dialogue, info: DatasetInfo, turn: int) -> str:
    label = int(dialogue.labels[turn])
    emotion = NO_LABEL if label == UNLABELLED else printable(info.class_names[label])
    if dialogue.sentiments is None or dialogue.sentiments[turn] < 0:
        return emotion
    return f"{emotion} ({printable(info.sentiment_names[dialogue.sentiments[turn]])})"
