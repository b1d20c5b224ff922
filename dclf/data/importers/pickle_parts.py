"""From the named elements of a feature pickle to conversations: splits, speakers, labels, and what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import UNLABELLED
from dclf.data.errors import DataError, SourceError
from dclf.data.importers.conversations import Conversation, DialogueRows, LayerRows, Rows
from dclf.data.importers.datasets import MELD_DEV, MELD_DEV_UTTERANCES, MELD_TEST, Corpus
from dclf.data.importers.layouts import is_one_hot, rows_or_none
from dclf.data.importers.sources import (
    hold_out,
    items_of,
    length_of,
    natural_order,
    read_ids,
    refuse_empty_splits,
    rows_of_numbers,
    without_objects,
)
from dclf.data.whole_numbers import is_whole, places, whole_numbers
from dclf.prose import join_words

LAYERS = ("1", "2", "3", "4", "mean", "concat")


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """The elements of a feature pickle by what they are for; the dicts are keyed by dialogue id.

    Attributes:
        source: the file, for messages.
        speakers: of every dialogue.
        labels: of every dialogue.
        train: ids of the training dialogues, with those to hold out where ``val`` is empty.
        test: ids of the test dialogues.
        val: ids of the validation dialogues, where the file lists them.
        features: modality -> one dict, or one for every layer.
        sentences: transcripts.
        sentiments: second labels.
        ids: utterance ids.
    """

    source: str
    speakers: Mapping[Any, Any]
    labels: Mapping[Any, Any]
    train: Sequence[Any]
    test: Sequence[Any]
    val: Sequence[Any] = ()
    features: Mapping[str, Sequence[Mapping[Any, Any]]] = field(default_factory=dict)
    sentences: Mapping[Any, Any] | None = None
    sentiments: Mapping[Any, Any] | None = None
    ids: Mapping[Any, Any] | None = None

    @property
    def names(self) -> tuple[Any, ...]:
        """All dialogue ids that the file lists."""
        return (*self.train, *self.val, *self.test)

    def problems(self) -> list[str]:
        """Dialogues in two splits, or missing from one of the dicts."""
        lists = {"train": self.train, "val": self.val, "test": self.test}
        split_of: dict[Any, str] = {}
        twice = {}
        for split, names in lists.items():
            for name in names:
                if split_of.setdefault(name, split) != split:
                    twice[name] = f"{split_of[name]} and {split}"
        problems = [
            f"dialogue {name!r}: is in two splits, {twice[name]}; keep it in one" for name in natural_order([*twice])
        ]
        dicts = {"speakers": self.speakers, "labels": self.labels, "sentences": self.sentences}
        parts = {part: [by_name] for part, by_name in dicts.items() if by_name is not None}
        parts |= {modality: list(layers) for modality, layers in self.features.items()}
        parts |= {"sentiments": [self.sentiments]} if self.sentiments is not None else {}
        for name in dict.fromkeys(self.names):
            lacking = [part for part, layers in parts.items() if any(name not in layer for layer in layers)]
            problems += [f"dialogue {name!r}: the pickle has no {part} for it" for part in lacking]
        return problems


def listed(names: Any, where: str) -> list[Any]:
    """The dialogue ids of a split; those of a set in natural order."""
    if isinstance(names, (set, frozenset)):
        return natural_order(list(names))
    ids = names.tolist() if isinstance(names, np.ndarray) else names
    if not isinstance(ids, (list, tuple)):
        raise SourceError(f"{where}: train and test ids must be lists, one is a {type(names).__name__}")
    if wrong := [one for one in ids if not isinstance(one, Hashable)]:
        raise SourceError(f"{where}: train and test ids must be lists of dialogue ids, one holds {wrong[0]!r}")
    return list(ids)


Splits = dict[str, list[Any]]


def split_dialogues(
    parts: Parts,
    corpus: Corpus,
    *,
    val_ids: str | os.PathLike[str] | None = None,
    val_dialogues: int | None,
    seed: int,
) -> tuple[Splits, dict[str, object]]:
    """The dialogues of each split, and how those for validation were chosen.

    Taken in this order: those whose ids are in the file ``val_ids``, one a line, the pickle's own list, MELD's dev
    split by its published numbering, the first tenth where the corpus' programs do so, and dialogues held out by seed.

    Raises:
        DataError: a dialogue is in two splits or lacks an element, or a split is empty.
        SourceError: ``val_ids`` cannot be read, or names no training dialogues or all.
    """
    may_be_empty = {"val": parts.val or parts.train}
    refuse_empty_splits({"train": parts.train, "test": parts.test, **may_be_empty}, parts.source)
    if problems := parts.problems():
        raise DataError(problems, parts.source)
    if parts.val and val_ids is None:
        validation: dict[str, object] = {"method": "the file's own list"}
        return {"train": [*parts.train], "val": [*parts.val], "test": [*parts.test]}, validation
    train = [*parts.train, *parts.val]
    val, validation = _validation(parts, train, corpus, val_ids, val_dialogues, seed)
    val_names = {*val}
    return {"train": [name for name in train if name not in val_names], "val": val, "test": [*parts.test]}, validation


def _validation(
    parts: Parts,
    train: list[Any],
    corpus: Corpus,
    val_ids: str | os.PathLike[str] | None,
    count: int | None,
    seed: int,
) -> tuple[list[Any], dict[str, object]]:
    if val_ids is not None:
        ids = read_ids(val_ids)
        return _validation_part(train, ids, os.fspath(val_ids)), {"method": "the list of --val-ids", "dialogues": ids}
    if corpus.name == "meld" and has_published_dev(parts):
        return list(MELD_DEV), {"method": "published dev split"}
    if count is None and corpus.val_first:
        val = train[: max(1, len(train) // 10)]
        return val, {"method": "first tenth of the training list", "dialogues": [str(name) for name in val]}
    default = corpus.val_dialogues
    if default is None or default >= len(train):  # part of a corpus
        default = max(1, len(train) // 10)
    val = hold_out(train, default if count is None else count, seed)
    names = [str(name) for name in val]
    return val, {"method": "held out of the training dialogues", "seed": seed, "dialogues": names}


def _validation_part(train: Sequence[Any], val_ids: Sequence[str], file: str) -> list[Any]:
    by_text = {str(name): name for name in train}
    unknown = [name for name in val_ids if name not in by_text]
    if unknown or not 0 < len({*val_ids}) < len(train):
        problem = f"{unknown[0]!r} is none of them" if unknown else f"it names {len({*val_ids})} of {len(train)}"
        raise SourceError(f"--val-ids {file}: must name some of the training dialogues and leave others; {problem}")
    return [by_text[name] for name in dict.fromkeys(val_ids)]


def has_published_dev(parts: Parts) -> bool:
    """Whether the dialogues are numbered as MELD's published pickles number them."""
    train, test = set(parts.train), set(parts.test)
    if not train.issuperset(MELD_DEV) or test != set(MELD_TEST):
        return False
    return sum(length_of(parts.labels.get(name)) or 0 for name in MELD_DEV) == MELD_DEV_UTTERANCES


Speakers = Callable[[Any, str], NDArray[np.int32]]


def genders(value: Any, where: str) -> NDArray[np.int32]:
    """'M' and 'F' as 0 and 1."""
    numbers = {"M": 0, "F": 1}
    unknown = sorted({str(speaker) for speaker in value if str(speaker) not in numbers})
    if unknown:
        raise SourceError(f"{where}: speakers must be 'M' or 'F', found {unknown[0]!r}")
    return np.array([numbers[str(speaker)] for speaker in value], dtype=np.int32)


def one_hot(value: Any, where: str) -> NDArray[np.int32]:
    """The places of the ones."""
    rows = rows_of_numbers(value, f"{where}, speakers")
    if not is_one_hot(rows):
        raise SourceError(f"{where}: speakers must be one-hot rows, one 1 and otherwise 0")
    speakers: NDArray[np.int32] = rows.argmax(axis=1).astype(np.int32)
    return speakers


NAME_SPEAKERS = "say who speaks, or write a name such as unknown where that is not known"


def is_nobody(name: Any) -> bool:
    """Whether an entry for a speaker names none: empty, None or NaN, whose text would pass for a name."""
    return name is None or name != name or not str(name).strip()  # noqa: PLR0124 - NaN is not itself


def speaker_names(names: Iterable[Any]) -> NDArray[np.int32]:
    """Names of one dialogue, numbered by first appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(str(name).strip(), len(numbers)) for name in names], dtype=np.int32)


def reader_of_speakers(kind: str, by_name: Mapping[Any, Any]) -> tuple[Speakers, int | None]:
    """How to read speakers of this kind, and how many there are where the file says so."""
    if kind == "genders":
        return genders, 2 if any("F" in items_of(value) for value in by_name.values()) else None
    if kind == "one-hot":
        rows = [matrix for value in by_name.values() if (matrix := rows_or_none(value)) is not None]
        return one_hot, max(matrix.shape[1] for matrix in rows)
    if kind == "numbers":
        return lambda value, where: labels_of(value, where, "speaker"), None
    words = {str(word) for value in by_name.values() for word in items_of(value)}
    if all(word.isdecimal() and int(word) < len(words) for word in words):
        return lambda value, _: np.array([int(word) for word in value], dtype=np.int32), None
    return _named_speakers, None


def _named_speakers(value: Any, where: str) -> NDArray[np.int32]:
    """Names, numbered by first appearance; SourceError says where there is none."""
    lacking = [turn for turn, name in enumerate(value) if is_nobody(name)]
    if lacking:
        at = places(np.array(lacking, dtype=np.intp))
        raise SourceError(f"{where}: speakers must be names, is {value[lacking[0]]!r} at {at}; {NAME_SPEAKERS}")
    return speaker_names(value)


def labels_of(value: Any, where: str, what: str = "label") -> NDArray[np.int32]:
    """Whole numbers; SourceError says which are none."""
    try:
        array = np.asarray(value)
        return whole_numbers(array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else value, what)
    except ValueError as error:
        remedy = "; an emotion is the number of a class: scores such as sentiments are none" if what == "label" else ""
        raise SourceError(f"{where}: {error}{remedy}") from error


def labels_by_name(names: Sequence[str]) -> Speakers:
    """How to read labels that are names of emotions; an empty one is none."""

    def read(value: Any, where: str) -> NDArray[np.int32]:
        texts = [str(name).strip() for name in value]
        if unknown := [text for text in texts if text and text not in names]:
            raise SourceError(f"{where}: {unknown[0]!r} is none of {', '.join(names)}")
        return np.array([names.index(text) if text else UNLABELLED for text in texts], dtype=np.int32)

    return read


def conversations_of(
    parts: Parts, splits: Splits, speakers: Speakers, labels: Callable[[Any, str], NDArray[np.int32]] = labels_of
) -> list[Conversation]:
    """The conversations of all splits; DataError with every one that cannot be read."""
    starts = {"train": 0, "val": MELD_DEV.start, "test": MELD_TEST.start} if has_published_dev_ids(splits) else None
    conversations, problems = [], []
    for split, names in splits.items():
        for name in names:
            number = str(name - starts[split]) if starts else None
            try:
                conversations.append(_conversation(parts, name, split, number, (speakers, labels)))
            except SourceError as error:
                problems.append(str(error))
    if problems:
        raise DataError(problems, parts.source)
    return conversations


def has_published_dev_ids(splits: Splits) -> bool:
    """Whether dev and test have MELD's published numbers."""
    return splits["val"] == list(MELD_DEV) and set(splits["test"]) == set(MELD_TEST)


def _conversation(
    parts: Parts, name: Any, split: str, number: str | None, readers: tuple[Speakers, Speakers]
) -> Conversation:
    where = f"dialogue {name!r}"
    _refuse_singles(parts, name)
    speakers, labels = readers
    ids = _ids_of(parts, name)
    all_names = all(isinstance(one, str) for one in ids)
    return Conversation(
        name=name,
        dialogue_id=str(name),
        split=split,
        speakers=speakers(parts.speakers[name], where),
        labels=labels(parts.labels[name], where),
        utterances=transcripts(parts.sentences[name]) if parts.sentences else (),
        sentiments=labels_of(parts.sentiments[name], where, "sentiment") if parts.sentiments else None,
        number=number,
        utterance_ids=tuple(ids) if all_names else (),
        utterance_numbers=() if all_names else tuple(str(one) for one in ids),
    )


def _refuse_singles(parts: Parts, name: Any) -> None:
    """SourceError names what has no entry for every utterance, such as None or a number."""
    values = {"speakers": parts.speakers, "labels": parts.labels, "sentences": parts.sentences}
    for part, by_name in (values | {"sentiments": parts.sentiments}).items():
        value = None if by_name is None else by_name[name]
        if by_name is not None and (
            isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or length_of(value) is None
        ):
            kind = type(value).__name__
            raise SourceError(f"dialogue {name!r}: its {part} must be a list with one for every utterance, is a {kind}")
    for modality, layers in parts.features.items():
        for value in (without_objects(layer[name]) for layer in layers if name in layer):
            widths = {length_of(row) or 0 for row in value} if isinstance(value, (list, tuple)) else set()
            if len(widths) > 1:
                sizes = join_words([str(width) for width in sorted(widths)])
                raise SourceError(f"dialogue {name!r}: its {modality} rows must be equally wide, are {sizes} wide")


def transcripts(sentences: Iterable[Any]) -> tuple[str, ...]:
    """The words of every utterance; none where all are empty."""
    words = tuple(str(sentence) for sentence in sentences)
    return words if any(words) else ()


def _ids_of(parts: Parts, name: Any) -> list[Any]:
    """The utterance ids of a dialogue, all names or all numbers; empty where the file has none that fit."""
    ids = (parts.ids or {}).get(name)
    if not isinstance(ids, (list, tuple, range, np.ndarray)) or length_of(ids) != length_of(parts.labels[name]):
        return []
    uniform = all(isinstance(one, str) for one in ids) or all(is_whole(one) for one in ids)
    return list(ids) if uniform else []


def rows_of(parts: Parts, text_layers: str) -> dict[str, Rows]:
    """The file's own features by modality.

    Args:
        parts: of the file.
        text_layers: which of several text layers to take, from 1, or ``mean`` or ``concat``.

    Raises:
        SourceError: there is no such layer, or no layers to choose from.
    """
    if text_layers not in LAYERS:
        raise SourceError(f"--text-layers must be one of {', '.join(LAYERS)}, is {text_layers!r}")
    if text_layers != "1" and len(parts.features.get("text", ())) < 2:
        what = "one text" if parts.features.get("text") else "no text of its own"
        raise SourceError(f"--text-layers {text_layers}: the file has {what}, and no layers of it; leave this out")
    rows: dict[str, Rows] = {}
    for modality, layers in parts.features.items():
        each = [DialogueRows(modality, layer) for layer in layers]
        if len(each) == 1:
            rows[modality] = each[0]
        elif text_layers.isdecimal() and int(text_layers) > len(each):
            raise SourceError(f"--text-layers {text_layers}: the file has {len(each)} text layers")
        else:
            rows[modality] = each[int(text_layers) - 1] if text_layers.isdecimal() else LayerRows(each, text_layers)
    return rows
