"""A conversation to predict, in the terms of the people who had it: names for speakers, vectors that may be missing.

n  utterances        D_m  width of modality m
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import UNLABELLED, Dialogue
from dclf.data.errors import DataError
from dclf.data.whole_numbers import is_whole, places


class Speakers:
    """The numbers that the speakers of one conversation have in a model, which knows none of their names.

    A name gets the next free number when it first comes up. A whole number is the model's own and stays what it is. One
    conversation has names or numbers, not both.

    Args:
        count: how many speakers the model knows.
        names: those whose numbers are 0, 1 and so on, whoever speaks first.

    Raises:
        ValueError: there are more names than the model knows speakers, or one comes twice.
    """

    def __init__(self, count: int, names: Sequence[str] = ()) -> None:
        self.count = count
        if len(set(names)) < len(names):
            raise ValueError(f"speakers must be named once each, are {', '.join(names)}")
        if len(names) > count:
            raise ValueError(f"speakers must be {count} at most, which the model knows, are {', '.join(names)}")
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


def no_features(widths: Mapping[str, int]) -> str:
    """The problem of a conversation that has no vector in any utterance.

    Args:
        widths: modality -> D_m, of those that the model reads.
    """
    read = " or ".join(f"{modality} ({width} numbers)" for modality, width in widths.items())
    return (
        f"must have feature vectors of {read}, has none: words, sound and pictures are not turned into features here; "
        "make the vectors with what made those of the run's shards (dclf data inspect names it)"
    )


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
