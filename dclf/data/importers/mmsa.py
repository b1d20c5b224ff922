"""MMSA's files: for each split arrays of segments, cut from videos, with series of features and sentiment scores.

N  segments of a split
T  steps of a series, padded with zeros
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import DataError, SourceError
from dclf.data.importers.conversations import Conversation, Rows, SplitRows, TableRows
from dclf.data.importers.sources import as_float32, length_of, refuse_empty_splits

SPLIT_KEYS = {"train": "train", "val": "valid", "test": "test"}
"""Our split -> MMSA's name for it."""
SEPARATOR = "$_$"
_FEATURES = {"text": "text", "audio": "audio", "visual": "vision"}
_NEEDED = ("id", "regression_labels")


def is_mmsa(content: Any) -> bool:
    """Whether it is a dict of splits, each with ids and scores."""
    return isinstance(content, dict) and all(
        isinstance(content.get(name), dict) and all(key in content[name] for key in _NEEDED)
        for name in SPLIT_KEYS.values()
    )


def read_mmsa(
    source: str, content: Mapping[str, Any], to_labels: Callable[[Any, str], NDArray[np.int32]]
) -> tuple[list[Conversation], dict[str, Rows]]:
    """The videos as conversations of one speaker, and features that are means over the steps of a series.

    Args:
        source: the file, for messages.
        content: of the file.
        to_labels: scores -> classes.

    Raises:
        DataError: ids that are none, a video in two splits, a segment twice, or lists of unequal lengths: all of them.
        SourceError: no features, or series that are none.
    """
    conversations: list[Conversation] = []
    problems: list[str] = []
    split_of: dict[str, str] = {}
    if unequal := [problem for name in SPLIT_KEYS.values() for problem in _unequal(name, content[name])]:
        raise DataError(unequal, source)
    for split, name in SPLIT_KEYS.items():
        ids = [str(one) for one in content[name]["id"]]
        problems += [f"{name}: the id {one!r} must be VIDEO{SEPARATOR}SEGMENT" for one in ids if not _segment(one)]
        videos: dict[str, list[int]] = {}
        for row, one in enumerate(ids):
            videos.setdefault(one.partition(SEPARATOR)[0], []).append(row)
        for video, rows in videos.items():
            if split_of.setdefault(video, split) != split:
                problems.append(f"dialogue {video!r}: is in two splits, {split_of[video]} and {split}; keep it in one")
            elif all(_segment(ids[row]) for row in rows):
                numbers = {row: int(ids[row].partition(SEPARATOR)[2]) for row in rows}
                ordered = sorted(rows, key=numbers.__getitem__)
                problems += [
                    f"{name}: the segment {ids[row]!r} is there twice; keep one of them"
                    for before, row in pairwise(ordered)
                    if numbers[before] == numbers[row]
                ]
                conversations.append(_conversation(video, split, ordered, content[name], to_labels))
    if problems:
        raise DataError(problems, source)
    refuse_empty_splits({split: [c for c in conversations if c.split == split] for split in SPLIT_KEYS}, source)
    return conversations, _rows(source, content)


def _unequal(name: str, content: Mapping[str, Any]) -> Iterator[str]:
    """What has not one entry for each id."""
    count = length_of(content["id"])
    if count is None:
        yield f"{name}: id must be a list with one for every segment, is a {type(content['id']).__name__}"
        return
    for key in ("regression_labels", "raw_text"):
        if key in content and length_of(content[key]) != count:
            size = length_of(content[key])
            what = f"a {type(content[key]).__name__}" if size is None else str(size)
            yield f"{name}: {key} must have one for each of the {count} ids, is {what}; save the file again"


def _segment(name: str) -> bool:
    return name.partition(SEPARATOR)[2].isdecimal()


def _conversation(
    video: str,
    split: str,
    rows: list[int],
    content: Mapping[str, Any],
    to_labels: Callable[[Any, str], NDArray[np.int32]],
) -> Conversation:
    where = f"dialogue {video!r}"
    try:
        scores = np.asarray(content["regression_labels"], dtype=np.float64)[rows]
    except (TypeError, ValueError) as error:
        raise SourceError(f"{where}: regression_labels must be numbers ({error})") from error
    words = [str(content["raw_text"][row]) for row in rows] if "raw_text" in content else []
    return Conversation(
        name=video,
        dialogue_id=video,
        split=split,
        speakers=np.zeros(len(rows), dtype=np.int32),
        labels=to_labels(scores, where),
        utterances=tuple(words),
        utterance_ids=tuple(str(content["id"][row]) for row in rows),
        split_places=np.array(rows, dtype=np.intp),
    )


def _rows(source: str, content: Mapping[str, Any]) -> dict[str, Rows]:
    rows: dict[str, Rows] = {}
    for modality, key in _FEATURES.items():
        if all(key in content[name] for name in SPLIT_KEYS.values()):
            rows[modality] = SplitRows(
                {split: TableRows(_means(source, content[n], key), of_split=True) for split, n in SPLIT_KEYS.items()}
            )
    return rows


def _means(source: str, content: Mapping[str, Any], key: str) -> NDArray[np.float32]:
    """Mean over the steps that are not all zero, float32 [N, D]; a series without any stays zero."""
    series = as_float32(content[key])
    if series.ndim != 3 or len(series) != len(content["id"]):
        shape = list(series.shape)
        raise SourceError(f"{source}: {key} must be series [N, T, D] for the {len(content['id'])} ids, has {shape}")
    steps = series.any(axis=2)
    means: NDArray[np.float32] = series.sum(axis=1) / np.maximum(steps.sum(axis=1), 1)[:, None].astype(np.float32)
    return means
