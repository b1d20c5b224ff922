"""A conversation to predict, in the terms of the people who had it: names for speakers, vectors that may be missing.

n  utterances        D_m  width of modality m
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import UNLABELLED, Dialogue
from dclf.data.errors import DataError
from dclf.data.whole_numbers import is_whole, places
from dclf.errors import WrongInputError
from dclf.extraction.contract import Utterance
from dclf.prose import join_words

HALVES = "must be Unicode, has half of a surrogate pair: {}; write the character whole"
"""The problem of a text that is not ``is_unicode``, with a place for what it is."""
_LONGEST_TEXT = 60
_RAW_INPUTS = {"text": "words", "recording": "a recording"}


class Speakers:
    """The numbers that the speakers of one conversation have in a model, which knows none of their names.

    A name gets the next free number when it first comes up. A whole number is the model's own and stays what it is. One
    conversation has names or numbers, not both.

    Args:
        count: how many speakers the model knows.
        names: those whose numbers are 0, 1 and so on, whoever speaks first.

    Raises:
        WrongInputError: there are more names than the model knows speakers, or one comes twice.
    """

    def __init__(self, count: int, names: Sequence[str] = ()) -> None:
        self.count = count
        if len(set(names)) < len(names):
            raise WrongInputError(f"speakers must be named once each, are {', '.join(names)}")
        if len(names) > count:
            raise WrongInputError(f"speakers must be {count} at most, which the model knows, are {', '.join(names)}")
        self._numbers: dict[str, int] = {name: number for number, name in enumerate(names)}
        self._numbered = False

    def number(self, speaker: str | int | np.integer[Any]) -> int:
        """The speaker's number.

        Raises:
            ValueError: a number that the model does not know, one speaker too many, or a name among numbers.
        """
        if not isinstance(speaker, str):
            return self._own(speaker)
        if not speaker.strip():
            raise ValueError(f"speaker must be a name or a number, is {speaker!r}")
        if self._numbered:
            raise ValueError(f"speakers must be all names or all numbers, is {speaker!r} after numbers")
        if speaker not in self._numbers and len(self._numbers) == self.count:
            others = ", ".join(self._numbers)
            raise ValueError(
                f"speaker {speaker!r} is one too many: the model knows {self.count}, which {others} are; give rare "
                "speakers one name, or use a run whose data had more"
            )
        return self._numbers.setdefault(speaker, len(self._numbers))

    def _own(self, speaker: Any) -> int:
        if not is_whole(speaker):
            raise ValueError(f"speaker must be a name or a whole number, is {speaker!r}")
        if self._numbers:
            raise ValueError(f"speakers must be all names or all numbers, is {speaker} after names")
        if not 0 <= speaker < self.count:
            raise ValueError(f"speaker must be 0 to {self.count - 1}, which the model knows, is {speaker}")
        self._numbered = True
        return int(speaker)


def vector_problem(vector: Any, width: int) -> str:
    """What is wrong with a feature vector; empty where it can be read.

    Args:
        vector: a list or an array.
        width: D_m.
    """
    try:
        row = np.asarray(vector)
    except ValueError:  # lists of several lengths in a list
        row = np.empty((), object)
    mixed = isinstance(vector, list | tuple) and any(isinstance(value, bool) for value in vector)
    if row.ndim != 1 or mixed or (row.size and row.dtype.kind not in "fiu"):
        return f"must be a list of {width} numbers"
    if len(row) != width:
        return f"must be {width} numbers as in training, are {len(row)}"
    with np.errstate(over="ignore"):
        finite = np.isfinite(row.astype(np.float32))
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        return f"must be finite, is {row[at]} at {at}; extract them again, or leave them out where they are missing"
    return ""


def feature_rows(vectors: Sequence[Any], width: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Stack the vectors of one modality, each None where it is missing.

    Args:
        vectors: n of them.
        width: D_m.

    Returns:
        float32 [n, D_m], zero where missing, and bool [n], which are there.
    """
    present = np.array([vector is not None for vector in vectors], dtype=np.bool_)
    rows = np.zeros((len(vectors), width), np.float32)
    for row, vector in zip(rows, vectors, strict=True):
        if vector is not None:
            row[:] = vector
    return rows, present


def no_features(widths: Mapping[str, int], reads: Mapping[str, str] | None = None) -> str:
    """The problem of a conversation that has no vector in any utterance, and nothing that one could be made of.

    Args:
        widths: modality -> D_m, of those that the model reads.
        reads: modality -> ``text`` or ``recording``, of those that can be made here.
    """
    vectors = join_words([f"{modality} ({width} numbers)" for modality, width in widths.items()], "or")
    if not reads:
        return (
            f"must have feature vectors of {vectors}, has none: words and recordings are made into features only where "
            "dclf data extract made the run's shards; make the vectors with what made those of its shards (dclf data "
            "inspect names it)"
        )
    raw = join_words([f"{_RAW_INPUTS[kind]} for {modality}" for modality, kind in reads.items()], "or")
    return f"must have {raw}, or feature vectors of {vectors}; has none that can be read"


def raw_problems(raw: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the words and the recording of an utterance: key -> problem.

    Args:
        raw: ``text``, ``media`` (path of a sound or video file), ``start`` and ``end`` (its seconds), as far as there;
            None is as good as absent, but for ``text``. Other keys are not looked at.
    """
    problems = {}
    if not isinstance(text := raw.get("text", ""), str):
        problems["text"] = f"must be the words as a text, is {json_text(text)}"
    elif not is_unicode(text):
        problems["text"] = HALVES.format(json_text(text))
    media = raw.get("media")
    if media is not None and not _is_path(media):
        problems["media"] = f"must be the path of a sound or video file, is {json_text(media)}"
    elif media is not None and not is_unicode(media):
        problems["media"] = HALVES.format(json_text(media))
    for key in ("start", "end"):
        second = raw.get(key)
        if second is not None and not _is_second(second):
            problems[key] = f"must be a second of the recording, 0 or more, is {json_text(second)}"
        elif second is not None and media is None:
            problems[key] = "must come with media, the recording that it is a second of"
    start, end = raw.get("start") or 0, raw.get("end")
    if end is not None and not problems and end <= start:
        problems["end"] = f"must be after start, {json_text(start)}, is {json_text(end)}"
    return problems


def raw_utterance(raw: Mapping[str, Any], folder: str = "") -> Utterance:
    """The words and the recording of an utterance that has no ``raw_problems``.

    Args:
        raw: as for ``raw_problems``.
        folder: in which a relative path of ``media`` begins; the working directory where empty.
    """
    media, start, end = (raw.get(key) for key in ("media", "start", "end"))
    return Utterance(
        text=raw.get("text", ""),
        recording="" if media is None else str(Path(folder) / media),
        start=None if start is None else float(start),
        end=None if end is None else float(end),
    )


def json_text(value: Any) -> str:
    """A value in JSON, cut short."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: an escape of JSON may be half a character, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "://" not in value and "\0" not in value


def _is_second(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0


def unlabelled_dialogue(
    name: str,
    speakers: NDArray[np.int32],
    vectors: Mapping[str, Sequence[Any]],
    widths: Mapping[str, int],
    utterances: tuple[str, ...] = (),
) -> Dialogue:
    """A dialogue without labels.

    Args:
        name: its id.
        speakers: int32 [n], the model's numbers.
        vectors: modality -> n vectors, None where missing; of all in ``widths``.
        widths: modality -> D_m, of those to take.
        utterances: n texts, or none.

    Raises:
        DataError: vectors of another width, or that are no finite numbers.
    """
    problems = [
        f"dialogue {name!r}: {modality} features at {places(np.array([at]))} {problem}"
        for modality, width in widths.items()
        for at, vector in enumerate(vectors[modality])
        if vector is not None and (problem := vector_problem(vector, width))
    ]
    if problems:
        raise DataError(problems)
    rows = {modality: feature_rows(vectors[modality], width) for modality, width in widths.items()}
    return Dialogue(
        dialogue_id=name,
        split="test",
        speakers=speakers,
        labels=np.full(len(speakers), UNLABELLED, np.int32),
        features={modality: matrix for modality, (matrix, _) in rows.items()},
        utterances=utterances,
        present={modality: mask for modality, (_, mask) in rows.items() if not mask.all()},
    )
