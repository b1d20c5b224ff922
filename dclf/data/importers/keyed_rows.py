"""The rows of utterances in a dict or an array, by whichever keys it has.

n  utterances of a dialogue
D  width of a row
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import SourceError
from dclf.data.importers.conversations import Conversation, DialogueRows, Matrix, Rows, TableRows
from dclf.data.importers.sources import as_float32, rows_of_numbers

MOST_MISSING = 0.5
"""A file that lacks more than this share of the utterances is taken for another corpus' file."""
MISSING_NAMED = 5

# How a dict may name a dialogue or its utterances: (conversation, split) -> one key, or n keys.
Scheme = Callable[[Conversation, str | None], Sequence[Any]]


def _by_name(c: Conversation, _: str | None) -> Sequence[Any]:
    return [c.name]


def _by_text(c: Conversation, _: str | None) -> Sequence[Any]:
    return [str(c.name)]


def _by_name_as_number(c: Conversation, _: str | None) -> Sequence[Any]:
    return [int(c.name)] if isinstance(c.name, str) and c.name.isdecimal() and str(int(c.name)) == c.name else []


def _by_number(c: Conversation, split: str | None) -> Sequence[Any]:
    return [c.number] if split and c.number is not None else []


def _by_whole_number(c: Conversation, split: str | None) -> Sequence[Any]:
    return [int(c.number)] if split and c.number is not None and c.number.isdecimal() else []


def _by_utterance_id(c: Conversation, _: str | None) -> Sequence[Any]:
    return c.utterance_ids


def _by_turn(c: Conversation, _: str | None) -> Sequence[Any]:
    return [f"{c.name}_{turn}" for turn in c.turns]


def _by_number_and_turn(c: Conversation, split: str | None) -> Sequence[Any]:
    return [f"{c.number}_{turn}" for turn in c.turns] if split and c.number is not None else []


def _by_clip(c: Conversation, split: str | None) -> Sequence[Any]:
    return [f"dia{c.number}_utt{turn}" for turn in c.turns] if split and c.number is not None else []


DIALOGUES: tuple[Scheme, ...] = (_by_name, _by_text, _by_name_as_number, _by_number, _by_whole_number)
UTTERANCES: tuple[Scheme, ...] = (_by_utterance_id, _by_turn, _by_number_and_turn, _by_clip)
SCHEMES = (*DIALOGUES, *UTTERANCES)


def rows_in(
    path: str, modality: str, content: Any, conversations: Sequence[Conversation], split: str | None = None
) -> Rows:
    """The rows of one content, for all conversations or for those of one split."""
    mine = [c for c in conversations if split in (None, c.split)]
    if isinstance(content, np.ndarray):
        return _in_order(path, content, mine, split)
    if isinstance(content, dict) and (pair := _dict_rows(path, modality, content, mine, split)) is not None:
        return pair
    raise SourceError(no_rows_message(path, modality, mine, split))


def _in_order(path: str, matrix: NDArray[Any], mine: Sequence[Conversation], split: str | None) -> Rows:
    """Rows in the order of a table."""
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise SourceError(f"{path}: must hold floats [rows, D], holds {matrix.dtype} {list(matrix.shape)}")
    if any((c.split_places if split else c.places) is None for c in mine):
        raise SourceError(
            f"{path}: is an array of {len(matrix)} rows, and the conversations are in no one table whose order it "
            "could have; save the rows as a dict from dialogue id to [n, D], or, for tables of splits, a file for "
            f"each with {{split}} in its name"
        )
    if split is None and any(c.several_files for c in mine):
        raise SourceError(
            f"{path}: is an array of {len(matrix)} rows for a table of several files, whose order it cannot follow; "
            "give a file of rows for each split with {split} in its name, or save the rows as a dict from dialogue id "
            "to [n, D]"
        )
    count = sum(len(c) for c in mine)
    if len(matrix) != count:
        what = f"the {split} table" if split else "the table"
        raise SourceError(f"{path}: has {len(matrix)} rows, {what} has {count}; rows must follow the table's order")
    return TableRows(matrix, of_split=split is not None)


def _dict_rows(
    path: str, modality: str, content: Mapping[Any, Any], mine: Sequence[Conversation], split: str | None
) -> Rows | None:
    """Rows by the way in which most of the dict's keys name dialogues or utterances; None where none does."""
    hits = [
        (sum(key in content for c in mine for key in scheme(c, split)) / max(_keys(mine, scheme), 1), -place)
        for place, scheme in enumerate(SCHEMES)
    ]
    share, place = max(hits)
    if not share:
        return None
    scheme = SCHEMES[-place]
    if scheme in DIALOGUES:
        by_name = {c.name: content[key] for c in mine for key in scheme(c, split) if key in content}
        _refuse_gaps(path, modality, by_name, mine)
        return DialogueRows(modality, _unpadded(path, modality, by_name, mine))
    missing = [key for c in mine for key in scheme(c, split) if key not in content]
    if len(missing) > MOST_MISSING * sum(len(c) for c in mine):
        raise SourceError(
            f"{path}: has no {modality} features for {len(missing)} of {sum(len(c) for c in mine)} utterances, such as "
            f"{missing[0]!r}; give the file of the same utterances"
        )
    if missing:
        _refuse_other_numbers(path, content, mine, scheme, split)
    _refuse_absent_splits(path, modality, content, mine, scheme, split)
    return UtteranceRows(path, modality, content, scheme, split)


def _refuse_other_numbers(
    path: str, content: Mapping[Any, Any], mine: Sequence[Conversation], scheme: Scheme, split: str | None
) -> None:
    """A file that counts utterances from 1 under a table that counts from 0, or the reverse, would shift every row."""
    keys = [key for c in mine for key in scheme(c, split)]
    hits = sum(key in content for key in keys)
    for step, direction in ((-1, "lower"), (1, "higher")):
        neighbours = [key for c in mine for key in scheme(_renumbered(c, step), split)]
        if (more := sum(key in content for key in neighbours)) > hits:
            has, lacks = next(pair for pair in zip(neighbours, keys, strict=True) if pair[0] in content)
            raise SourceError(
                f"{path}: must number the utterances as the table does, has {has!r} for {lacks!r}: it has features for "
                f"{hits} of {len(keys)} utterances, and for {more} with numbers {direction} by one; count from one "
                "number in both, such as in the table's column utterance"
            )


def _renumbered(conversation: Conversation, step: int) -> Conversation:
    """A conversation whose utterances have numbers that are higher by a step; itself where they are no numbers."""
    turns = conversation.turns
    if not all(turn.isdecimal() for turn in turns):
        return conversation
    numbers = tuple(str(int(turn) + step) for turn in turns)
    # An id that is unique in the table may be the number too.
    ids = numbers if conversation.utterance_ids == turns else conversation.utterance_ids
    return replace(conversation, utterance_numbers=numbers, utterance_ids=ids)


def _refuse_absent_splits(
    path: str,
    modality: str,
    content: Mapping[Any, Any],
    mine: Sequence[Conversation],
    scheme: Scheme,
    split: str | None,
) -> None:
    """A file that has nothing of a split was made for others, or numbers dialogues anew in each."""
    for name in dict.fromkeys(c.split for c in mine):
        if not any(key in content for c in mine if c.split == name for key in scheme(c, split)):
            raise SourceError(
                f"{path}: has no {modality} features for any utterance of the {name} split; give a file with all "
                f"splits, "
                "or one for each with {split} in its name"
            )


def _keys(mine: Sequence[Conversation], scheme: Scheme) -> int:
    return len(mine) if scheme in DIALOGUES else sum(len(c) for c in mine)


def no_rows_message(path: str, modality: str, mine: Sequence[Conversation], split: str | None) -> str:
    """What a file must hold that has rows for none of these conversations."""
    first = mine[0]
    keys = [repr(keys[0]) for scheme in UTTERANCES if (keys := scheme(first, split))]
    which = f" or from utterance id to a vector ({', '.join(dict.fromkeys(keys))})" if keys else ""
    anew = "" if split or first.number is None else (
        "; a file that numbers dialogues anew in each split is a list of three dicts, or one file for each with "
        "{split} in its name"
    )  # fmt: skip
    return (
        f"{path}: holds no dict from dialogue id to rows of numbers that knows dialogue {first.name!r}{which}; give "
        f"{modality} features of the same dialogues{anew}"
    )


def _refuse_gaps(path: str, modality: str, rows: Mapping[Any, Any], mine: Sequence[Conversation]) -> None:
    lacking = [c.name for c in mine if c.name not in rows]
    if lacking:
        raise SourceError(f"{path}: has no {modality} rows for {len(lacking)} dialogues, such as {lacking[0]!r}")


def _unpadded(
    path: str, modality: str, rows: Mapping[Any, Any], mine: Sequence[Conversation]
) -> dict[Any, NDArray[np.float32]]:
    """The rows of each dialogue, without the zero rows behind them; SourceError with every one that does not fit."""
    matrices, problems = {}, []
    for conversation in mine:
        name, count = conversation.name, len(conversation)
        matrix = rows_of_numbers(rows[name], f"{path}, dialogue {name!r}")
        if len(matrix) < count or matrix[count:].any():
            problems.append(f"{path}: dialogue {name!r} has {len(matrix)} {modality} rows for {count} utterances")
        matrices[name] = matrix[:count]
    if problems:
        rest = len(problems) - MISSING_NAMED
        raise SourceError("\n".join([*problems[:MISSING_NAMED], *([f"and {rest} more"] if rest > 0 else [])]))
    return matrices


@dataclass(frozen=True, eq=False)
class UtteranceRows:
    """A vector for each utterance; those that lack one are zero and said to be missing."""

    path: str
    modality: str
    by_key: Mapping[Any, Any]
    scheme: Scheme
    split: str | None

    @property
    def width(self) -> int:
        """Of the vectors."""
        return self._array(next(iter(self.by_key))).size

    def of(self, conversation: Conversation) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """See ``Rows``."""
        keys = self.scheme(conversation, self.split)
        there = np.array([key in self.by_key for key in keys])
        matrix = np.zeros((len(keys), self.width), dtype=np.float32)
        for row, key in enumerate(keys):
            if there[row]:
                matrix[row] = self._vector(key)
        return matrix, None if there.all() else there

    def _vector(self, key: Any) -> NDArray[np.float32]:
        vector = self._array(key)
        if vector.size != self.width or max(vector.shape, default=1) != self.width:
            raise SourceError(
                f"{self.path}: utterance {key!r} must have one vector of {self.width} numbers, has {list(vector.shape)}"
            )
        return vector.reshape(self.width)

    def _array(self, key: Any) -> NDArray[np.float32]:
        try:
            return as_float32(self.by_key[key])
        except (TypeError, ValueError) as error:
            raise SourceError(f"{self.path}: utterance {key!r} must have a vector of numbers ({error})") from error
