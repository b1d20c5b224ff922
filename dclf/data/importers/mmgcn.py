"""The feature pickles that MMGCN and its successors share: ``IEMOCAP_features.pkl`` and ``MELD_features_raw1.pkl``.

Both are tuples of dicts keyed by dialogue: (ids, speakers, labels, text, audio, visual, sentences, train ids,
test ids), MELD's with a tenth element that is not needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import DatasetInfo, Dialogue
from dclf.data.errors import DataError, SourceError
from dclf.data.importers.replacement import replacement_text
from dclf.data.importers.safe_pickle import read_pickle
from dclf.data.importers.sources import describe, hold_out, natural_order, refuse_empty_splits, rows_of_numbers
from dclf.data.presets import IEMOCAP_CLASSES, MELD_CLASSES
from dclf.data.whole_numbers import whole_numbers

PathLike = str | os.PathLike[str]
Imported = tuple[DatasetInfo, Iterator[Dialogue]]

MELD_SPEAKERS = 9
MELD_DEV = range(1039, 1153)
"""Ids of MELD's development dialogues: the pickle numbers train, dev and test on end, train with a gap at 60."""
MELD_TEST = range(1153, 1433)
MELD_DEV_UTTERANCES = 1109


@dataclass(frozen=True, eq=False)
class FeaturePickle:
    """The named elements of the tuple; the dicts are keyed by dialogue id."""

    speakers: Mapping[Any, Any]
    labels: Mapping[Any, Any]
    text: Mapping[Any, Any]
    audio: Mapping[Any, Any]
    visual: Mapping[Any, Any]
    sentences: Mapping[Any, Any]
    train: Sequence[Any]
    test: Sequence[Any]

    @classmethod
    def read(cls, path: PathLike, elements: int) -> FeaturePickle:
        """Read the tuple; SourceError where it is laid out otherwise."""
        content = read_pickle(os.fspath(path))
        if not isinstance(content, (tuple, list)) or len(content) != elements:
            description = f"{type(content).__name__}" + (f" of {len(content)}" if hasattr(content, "__len__") else "")
            raise SourceError(f"{os.fspath(path)}: must be a tuple of {elements} elements, is {description}")
        for place in range(1, 7):
            if not isinstance(content[place], dict):
                kind = type(content[place]).__name__
                raise SourceError(f"{os.fspath(path)}: element {place + 1} must be a dict by dialogue id, is a {kind}")
        return cls(
            speakers=content[1],
            labels=content[2],
            text=content[3],
            audio=content[4],
            visual=content[5],
            sentences=content[6],
            train=_listed(content[7], os.fspath(path)),
            test=_listed(content[8], os.fspath(path)),
        )

    @property
    def others(self) -> dict[str, Mapping[Any, Any]]:
        """The features beside the text."""
        return {"audio": self.audio, "visual": self.visual}

    def problems(self) -> list[str]:
        """Dialogues in two splits, or missing from one of the dicts."""
        both = set(self.train) & set(self.test)
        problems = [
            f"dialogue {name!r}: is in two splits, train and test; keep it in one" for name in natural_order([*both])
        ]
        parts = ("speakers", "labels", "text", "audio", "visual", "sentences")
        for name in (*self.train, *self.test):
            lacking = [part for part in parts if name not in getattr(self, part)]
            problems += [f"dialogue {name!r}: the pickle has no {part} for it" for part in lacking]
        return problems


def _listed(names: Any, where: str) -> list[Any]:
    if isinstance(names, (set, frozenset)):
        return natural_order(list(names))
    if isinstance(names, np.ndarray):
        return list(names.tolist())
    if not isinstance(names, (list, tuple)):
        raise SourceError(f"{where}: train and test ids must be lists, one is a {type(names).__name__}")
    return list(names)


def _gender(value: Any, where: str) -> NDArray[np.int32]:
    known = {"M": 0, "F": 1}
    unknown = sorted({str(speaker) for speaker in value if str(speaker) not in known})
    if unknown:
        raise SourceError(f"{where}: speakers must be 'M' or 'F', found {unknown[0]!r}")
    return np.array([known[str(speaker)] for speaker in value], dtype=np.int32)


def _one_hot(value: Any, where: str) -> NDArray[np.int32]:
    rows = rows_of_numbers(value, f"{where}, speakers")
    if not ((rows == 1).sum(axis=1) == 1).all() or not ((rows == 0).sum(axis=1) == rows.shape[1] - 1).all():
        raise SourceError(f"{where}: speakers must be one-hot rows, one 1 and otherwise 0")
    speakers: NDArray[np.int32] = rows.argmax(axis=1).astype(np.int32)
    return speakers


def _labels(value: Any, where: str) -> NDArray[np.int32]:
    try:
        return whole_numbers(value, "label")
    except ValueError as error:
        raise SourceError(
            f"{where}: {error}; an emotion is the number of a class: scores such as sentiments are none"
        ) from error


@dataclass(frozen=True)
class _Dialect:
    """How one dataset writes its part of the pickle."""

    dataset: str
    class_names: tuple[str, ...]
    speaker_count: int
    speakers: Callable[[Any, str], NDArray[np.int32]]


_IEMOCAP = _Dialect("iemocap", IEMOCAP_CLASSES, 2, _gender)
_MELD = _Dialect("meld", MELD_CLASSES, MELD_SPEAKERS, _one_hot)


def import_mmgcn_iemocap(
    pickle: PathLike,
    text: PathLike | None = None,
    val_dialogues: int = 20,
    seed: int = 0,
    text_element: int | None = None,
) -> Imported:
    """IEMOCAP from ``IEMOCAP_features.pkl``.

    The pickle has no validation list: ``val_dialogues`` of its training dialogues are held out by ``seed``, and the
    provenance lists them.

    Args:
        pickle: the feature pickle, a 9-tuple; speakers are 'M' and 'F', which become 0 and 1.
        text: a RoBERTa pickle whose rows replace the text features.
        val_dialogues: how many training dialogues to hold out.
        seed: of the hold-out.
        text_element: which element of ``text`` to take, from 0, where it is not clear
            (``dclf.data.importers.replacement``).

    Raises:
        UnsafePickleError, SourceError, DataError: see ``dclf.data.errors``.
    """
    content = FeaturePickle.read(pickle, elements=9)
    splits = _splits(content, os.fspath(pickle), lambda: hold_out(content.train, val_dialogues, seed))
    origin = {"importer": "mmgcn-iemocap", "source": describe(pickle), "validation": _held_out(splits["val"], seed)}
    return _assemble(_IEMOCAP, *_with_text(content, text, text_element, origin), splits)


def import_mmgcn_meld(
    pickle: PathLike,
    text: PathLike | None = None,
    val_dialogues: int = 114,
    seed: int = 0,
    text_element: int | None = None,
) -> Imported:
    """MELD from ``MELD_features_raw1.pkl``.

    The pickle's training list holds MELD's train and dev dialogues. They are told apart where the numbering is the
    published one (dev is 1039..1152, test 1153..1432, and dev has its 1,109 utterances); otherwise ``val_dialogues``
    are held out by ``seed``. The provenance says which.

    Args:
        pickle: the feature pickle, a 10-tuple; speakers are one-hot rows of 9.
        text: a RoBERTa pickle whose rows replace the text features.
        val_dialogues: how many training dialogues to hold out where MELD's own dev split cannot be recovered.
        seed: of the hold-out.
        text_element: which element of ``text`` to take, from 0, where it is not clear
            (``dclf.data.importers.replacement``).

    Raises:
        UnsafePickleError, SourceError, DataError: see ``dclf.data.errors``.
    """
    content = FeaturePickle.read(pickle, elements=10)
    published = _has_published_dev(content)
    splits = _splits(
        content,
        os.fspath(pickle),
        lambda: list(MELD_DEV) if published else hold_out(content.train, val_dialogues, seed),
    )
    validation = {"method": "published dev split"} if published else _held_out(splits["val"], seed)
    origin = {"importer": "mmgcn-meld", "source": describe(pickle), "validation": validation}
    return _assemble(_MELD, *_with_text(content, text, text_element, origin), splits)


def _has_published_dev(content: FeaturePickle) -> bool:
    train, test = set(content.train), set(content.test)
    if not train.issuperset(MELD_DEV) or test != set(MELD_TEST):
        return False
    return sum(len(content.labels.get(name, ())) for name in MELD_DEV) == MELD_DEV_UTTERANCES


def _held_out(names: Sequence[Any], seed: int) -> dict[str, object]:
    return {"method": "held out of the training dialogues", "seed": seed, "dialogues": [str(name) for name in names]}


def _splits(content: FeaturePickle, source: str, choose: Callable[[], list[Any]]) -> dict[str, list[Any]]:
    listed: dict[str, Sequence[Any]] = {"train": content.train, "val": content.train, "test": content.test}
    refuse_empty_splits(listed, source)
    problems = content.problems()
    if problems:
        raise DataError(problems, source)
    val = choose()
    held = set(val)
    return {"train": [name for name in content.train if name not in held], "val": val, "test": list(content.test)}


def _with_text(
    content: FeaturePickle, text: PathLike | None, element: int | None, origin: Mapping[str, object]
) -> tuple[FeaturePickle, Mapping[str, object]]:
    if text is None:
        if element is not None:
            raise SourceError(f"--text-element {element}: says which element of --text to take, which is not given")
        return content, origin
    lengths = {name: len(content.labels[name]) for name in (*content.train, *content.test)}
    first = content.train[0]
    others = {
        m: rows_of_numbers(rows[first], f"dialogue {first!r}, {m}").shape[1] for m, rows in content.others.items()
    }
    rows, text_origin = replacement_text(text, lengths, others=others, element=element)
    return replace(content, text=rows), {**origin, "text": text_origin}


def _assemble(
    dialect: _Dialect, content: FeaturePickle, origin: Mapping[str, object], splits: Mapping[str, Sequence[Any]]
) -> Imported:
    first = _dialogue(dialect, content, splits["train"][0], "train")
    info = DatasetInfo(
        dataset=dialect.dataset,
        class_names=dialect.class_names,
        widths={modality: matrix.shape[1] for modality, matrix in first.features.items()},
        speaker_count=dialect.speaker_count,
        provenance=origin,
    )
    return info, (_dialogue(dialect, content, name, split) for split, names in splits.items() for name in names)


def _dialogue(dialect: _Dialect, content: FeaturePickle, name: Any, split: str) -> Dialogue:
    where = f"dialogue {name!r}"
    matrices = {"text": content.text, "audio": content.audio, "visual": content.visual}
    return Dialogue(
        dialogue_id=str(name),
        split=split,
        speakers=dialect.speakers(content.speakers[name], where),
        labels=_labels(content.labels[name], where),
        utterances=tuple(str(sentence) for sentence in content.sentences[name]),
        features={m: rows_of_numbers(rows[name], f"{where}, {m}") for m, rows in matrices.items()},
    )
