"""Files of features alone, which replace or add a modality: the shapes in which programs and researchers keep them.

=====================  ==========================================================================================
content                utterances are found by
=====================  ==========================================================================================
dict of rows           dialogue id -> [n, D]; longer where padded with zero rows
dict of vectors        utterance id -> [D]: the source's own, or ``<dialogue>_<utterance>``
list of three dicts    train, dev and test, numbered anew: ``<number>_<utterance>`` -> [D], ``<number>`` -> [n, D]
tuple of elements      the first two shapes as elements among others, counted from 0
array                  rows in the order of the source's table
=====================  ==========================================================================================

A file is a pickle, an ``.npy`` or a ``torch.save`` archive; ``{split}`` in its name stands for one file for each split.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import SPLITS
from dclf.data.errors import SourceError
from dclf.data.importers.content import read_content
from dclf.data.importers.conversations import Conversation, LayerRows, Rows, SplitRows
from dclf.data.importers.keyed_rows import DIALOGUES, MISSING_NAMED, SCHEMES, UtteranceRows, no_rows_message, rows_in
from dclf.data.importers.layouts import OWN_WIDTHS, is_one_hot, rows_or_none
from dclf.data.importers.sources import describe, read_each
from dclf.prose import quantity

SPLIT_NAMES = {"train": ("train",), "val": ("dev", "val", "valid", "validation"), "test": ("test",)}
"""Our split -> what files and tables call it."""

Replacements = Mapping[str, str | os.PathLike[str] | None]
Facts = dict[str, object]


def with_replacements(
    rows: Mapping[str, Rows], replacements: Replacements, conversations: Sequence[Conversation]
) -> tuple[dict[str, Rows], dict[str, object]]:
    """The features with those of files put in their place, and what was taken, for the provenance.

    Args:
        rows: modality -> the source's own features.
        replacements: modality -> a file, None where it stays.
        conversations: of all splits, at least one.

    Raises:
        SourceError: no modality remains, or a file does not fit the conversations.
        UnsafePickleError: see ``dclf.data.importers.safe_pickle``.
    """
    files = {modality: os.fspath(path) for modality, path in replacements.items() if path is not None}
    stay = {modality: source for modality, source in rows.items() if modality not in files}
    widths = {modality: source.of(conversations[0])[0].shape[1] for modality, source in stay.items()}
    features: dict[str, Rows] = dict(stay)
    origins: dict[str, object] = {}
    read = read_each(files, lambda modality: feature_rows(files[modality], modality, conversations, others=widths))
    for modality, (own, facts) in read.items():
        features[modality], origins[modality] = own, facts
    if not features:
        raise SourceError("the source has no features of its own: give at least one of --text, --audio and --visual")
    return features, origins


def feature_rows(
    file: str | os.PathLike[str],
    modality: str,
    conversations: Sequence[Conversation],
    *,
    others: Mapping[str, int] | None = None,
) -> tuple[Rows, Facts]:
    """The features of a modality for these conversations.

    Of a tuple or list, text is what remains when one-hot rows, rows as wide as the other modalities, and widths that
    only audio or visual features have are left out; audio and visual are the widths that they alone have. Several
    elements of one width are layers of one model: the first is taken, and the facts name all. What is not clear is
    left to the user.

    Args:
        file: a path; ``FILE#K`` takes element K, ``FILE#mean`` and ``FILE#concat`` put layers together; ``{split}``
            stands for train, dev (or val, valid, validation) and test.
        modality: text, audio or visual.
        conversations: that it must cover.
        others: modality -> width of the features that stay.

    Returns:
        The rows, and what was taken, for the provenance.

    Raises:
        SourceError: the file does not fit the conversations, or holds several things that may be meant.
        UnsafePickleError: see ``dclf.data.importers.safe_pickle``.
    """
    path, choice = _path_and_choice(os.fspath(file))
    if "{split}" in path:
        if choice is not None:
            raise SourceError(f"{path}#{choice}: files of a split hold one thing, leave out #{choice}")
        return _of_split_files(path, modality, conversations)
    content = read_content(path)
    facts: Facts = describe(path)
    by_split = _by_split(content, conversations)
    if by_split is not None:
        rows: Rows = SplitRows(
            {split: rows_in(path, modality, by_split[split], conversations, split) for split in SPLITS}
        )
        facts["read as"] = "train, dev and test, numbered anew"
    elif isinstance(content, (tuple, list)):
        rows, origin = _of_elements(path, modality, content, conversations, others or {}, choice)
        facts |= origin
    else:
        if choice is not None:
            raise SourceError(
                f"{path}: is one {_kind(content)} and has no elements to choose from; leave out #{choice}"
            )
        rows = rows_in(path, modality, content, conversations)
        facts["element"] = None
    return _checked(path, modality, rows, conversations, facts)


def _path_and_choice(file: str) -> tuple[str, str | None]:
    path, mark, choice = file.rpartition("#")
    return (path, choice) if mark and not Path(file).exists() else (file, None)


def _of_split_files(pattern: str, modality: str, conversations: Sequence[Conversation]) -> tuple[Rows, Facts]:
    files = {split: _split_file(pattern, split) for split in SPLITS}
    rows = read_each(
        files, lambda split: rows_in(str(files[split]), modality, read_content(files[split]), conversations, split)
    )
    facts: Facts = {file.name: describe(file) for file in files.values()}
    return _checked(pattern, modality, SplitRows(rows), conversations, facts)


def _split_file(pattern: str, split: str) -> Path:
    """The file of a split, under the first of its names that there is."""
    names = [Path(pattern.replace("{split}", name)) for name in SPLIT_NAMES[split]]
    return next((file for file in names if file.exists()), names[0])


def _by_split(content: Any, conversations: Sequence[Conversation]) -> dict[str, Any] | None:
    """Split -> its own content, where a file has one for each; None where it is one for all."""
    if isinstance(content, dict):
        keys = {split: [name for name in names if name in content] for split, names in SPLIT_NAMES.items()}
        if all(len(names) == 1 for names in keys.values()) and len(content) <= 4:
            return {split: content[name] for split, (name,) in keys.items()}
        return None
    if not isinstance(content, (tuple, list)) or len(content) != 3:
        return None
    if not all(isinstance(element, (dict, np.ndarray)) for element in content):
        return None
    splits = dict(zip(SPLITS, content, strict=True))
    first = {split: next((c for c in conversations if c.split == split), None) for split in SPLITS}
    if any(conversation is None for conversation in first.values()):
        return None
    own = [
        _fits(splits[split], c, split) and not _knows(splits[split], c.name)
        for split, c in first.items()
        if c is not None
    ]
    return splits if all(own) else None


def _knows(content: Any, name: Any) -> bool:
    return isinstance(content, dict) and name in content


def _fits(content: Any, conversation: Conversation, split: str) -> bool:
    if isinstance(content, np.ndarray):
        return content.ndim == 2 and conversation.split_places is not None
    return any(key in content for scheme in SCHEMES for key in scheme(conversation, split)[:1])


def _kind(content: Any) -> str:
    return "array" if isinstance(content, np.ndarray) else "dict of rows" if isinstance(content, dict) else "value"


def _checked(
    path: str, modality: str, rows: Rows, conversations: Sequence[Conversation], facts: Facts
) -> tuple[Rows, Facts]:
    """Refuse splits of other widths, and note what is missing and what is unusual."""
    of_splits = rows.splits if isinstance(rows, SplitRows) else {"": rows}
    firsts = {split: next(c for c in conversations if split in ("", c.split)) for split in of_splits}
    widths = {split: source.of(firsts[split])[0].shape[1] for split, source in of_splits.items()}
    if len({*widths.values()}) > 1:
        sizes = ", ".join(f"{split} is {width} wide" for split, width in widths.items())
        raise SourceError(f"{path}: the splits must be equally wide, {sizes}; give files of one encoder")
    width = facts["width"] = next(iter(widths.values()))
    owner, what = OWN_WIDTHS.get(width, (modality, ""))
    if owner != modality:
        facts["note"] = f"{width} columns are as a rule {what}; it was given as {modality}"
    lacking = [c for c in conversations if _may_lack_rows(_source(rows, c))]
    missing = [(c, present) for c in lacking if (present := rows.of(c)[1]) is not None]
    if missing:
        count = sum(int((~present).sum()) for _, present in missing)
        names = [
            f"{c.dialogue_id} utterance {int(turn)}" for c, present in missing for turn in np.flatnonzero(~present)
        ]
        facts["missing"] = (
            f"{quantity(count, 'utterance')} without features, such as {', '.join(names[:MISSING_NAMED])}"
        )
    return rows, facts


def _source(rows: Rows, conversation: Conversation) -> Rows:
    return rows.splits[conversation.split] if isinstance(rows, SplitRows) else rows


def _may_lack_rows(rows: Rows) -> bool:
    return any(isinstance(one, UtteranceRows) for one in (rows.layers if isinstance(rows, LayerRows) else (rows,)))


@dataclass(frozen=True)
class _Candidate:
    """An element that maps dialogues to rows of numbers.

    Attributes:
        place: in the pickle, from 0.
        width: D.
        kind: what it looks like, in words.
        open: whether it may be the modality that is looked for.
    """

    place: int
    width: int
    kind: str
    open: bool

    def __str__(self) -> str:
        return f"element {self.place}: {self.kind}, {self.width} wide"


def _of_elements(
    path: str,
    modality: str,
    content: Sequence[Any],
    conversations: Sequence[Conversation],
    others: Mapping[str, int],
    choice: str | None,
) -> tuple[Rows, Facts]:
    """The element with the modality, and how it was found."""
    elements = list(_candidates(modality, content, conversations[0], others))
    if not elements:
        raise SourceError(no_rows_message(path, modality, conversations, None))
    if choice is not None and choice.isdecimal():
        element = _element_at(path, elements, choice)
        facts: Facts = {"element": element.place, "chosen by": f"#{choice}"}
        return rows_in(path, modality, content[element.place], conversations), facts
    candidates = [one for one in elements if one.open]
    if len({one.width for one in candidates}) != 1:
        raise SourceError(_unclear(path, modality, content, elements, candidates))
    places = [one.place for one in candidates]
    if choice in ("mean", "concat"):
        layers = [rows_in(path, modality, content[place], conversations) for place in places]
        return LayerRows(layers, choice), {"element": places, "chosen by": f"#{choice}"}
    if choice is not None:
        raise SourceError(f"{path}#{choice}: behind # must be the number of an element, mean or concat")
    facts = {"element": places[0], **({"also as wide": places[1:]} if len(places) > 1 else {})}
    return rows_in(path, modality, content[places[0]], conversations), facts


def _unclear(
    path: str, modality: str, content: Any, elements: Sequence[_Candidate], candidates: Sequence[_Candidate]
) -> str:
    problem = f"may be {modality}" if candidates else f"looks like {modality}"
    count = "more than one element" if candidates else "no element"
    listed = "\n".join(f"  {one}" for one in elements)
    return (
        f"{path}: {count} of this {type(content).__name__} {problem}; say which one with --{modality} {path}#K, K "
        f"counted from 0:\n{listed}"
    )


def _element_at(path: str, elements: Sequence[_Candidate], choice: str) -> _Candidate:
    for one in elements:
        if one.place == int(choice):
            return one
    listed = "\n".join(f"  {one}" for one in elements)
    raise SourceError(f"{path}: #K must name one of the elements with rows of numbers, is {choice}:\n{listed}")


def _candidates(
    modality: str, content: Sequence[Any], first: Conversation, others: Mapping[str, int]
) -> Iterator[_Candidate]:
    """The elements that map this dialogue or its utterances to numbers."""
    beside = {width: f"as wide as the feature pickle's {other}" for other, width in others.items()}
    for place, element in enumerate(content):
        rows = _first_rows(element, first)
        if rows is None:
            continue
        width = rows.shape[1]
        owner, what = OWN_WIDTHS.get(width, (None, ""))
        if is_one_hot(rows):
            yield _Candidate(place, width, "one-hot rows", open=False)
        elif width in beside:
            yield _Candidate(place, width, beside[width], open=False)
        else:
            may_be = owner == modality or (modality == "text" and owner is None)
            yield _Candidate(place, width, what or "rows of numbers", open=may_be)


def _first_rows(element: Any, first: Conversation) -> NDArray[np.float32] | None:
    if not isinstance(element, dict):
        return None
    for scheme in SCHEMES:
        keys = [key for key in scheme(first, None) if key in element]
        if keys:
            value = element[keys[0]]
            return rows_or_none(value if scheme in DIALOGUES else [value])
    return None
