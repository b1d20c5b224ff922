"""What must hold for one dialogue, and the words for it when it does not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.dialogue import SPLITS, UNLABELLED, DatasetInfo, Dialogue
from dclf.data.index import DialogueIndex
from dclf.data.whole_numbers import is_whole, not_whole, places

_REPAIR = "correct the source or drop the dialogue"


def validate_dialogue(dialogue: Dialogue, info: DatasetInfo) -> list[str]:
    """Every problem of one dialogue, each naming the dialogue; empty where it is sound."""
    name = f"dialogue {dialogue.dialogue_id!r}"
    return [f"{name}: {problem}" for problem in _problems(dialogue, info)]


def info_problems(info: DatasetInfo) -> list[str]:
    """Return what is wrong with the dataset facts themselves: counts and widths that are no whole numbers above 0."""
    counts = {"speaker_count": info.speaker_count, **{f"the width of {m}": width for m, width in info.widths.items()}}
    return [
        f"{what} must be a whole number of 1 or more, is {count!r}; correct the DatasetInfo"
        for what, count in counts.items()
        if not is_whole(count) or count < 1
    ]


def zero_rows(dialogue: Dialogue) -> list[str]:
    """Warnings for feature rows that are all zero and not said to be missing: a sign of a failed extraction."""
    return [
        f"dialogue {dialogue.dialogue_id!r}: {modality} features are all zero at {places(rows)}; models stay finite "
        "on such rows, but the feature extraction probably failed there: extract them again or leave the modality out"
        for modality, matrix in dialogue.features.items()
        if (rows := np.flatnonzero(~np.any(np.asarray(matrix), axis=1) & dialogue.present.get(modality, True))).size
    ]


def empty_classes(class_names: Sequence[str], labels: Collection[int]) -> list[str]:
    """A warning where classes are declared that no utterance has, as when four emotions come under six names.

    Args:
        class_names: of the dataset.
        labels: those that occur, in any split.
    """
    absent = [name for number, name in enumerate(class_names) if number not in labels]
    if not absent:
        return []
    what = f"{len(absent)} of the {len(class_names)} classes {'is' if len(absent) == 1 else 'are'} empty"
    remedy = "check that the labels are numbered as the classes are named, and compare with no result on all classes"
    return [f"no utterance is {', '.join(absent)}: {what}, score 0 and weigh nothing; {remedy}"]


def unlabelled_split(split: str) -> str:
    """The problem of a split in which no utterance has a label."""
    return (
        f"no utterance of the {split} split has a label: training needs some in all of {', '.join(SPLITS)}; import the "
        "data again with labels"
    )


def repeated_id(dialogue_id: str, split: str, split_of: dict[str, str]) -> list[str]:
    """The problem, if any, of a dialogue id that came before; notes the id in ``split_of`` (id -> split)."""
    if dialogue_id not in split_of:
        split_of[dialogue_id] = split
        return []
    if split_of[dialogue_id] != split:
        return [f"dialogue {dialogue_id!r}: is in two splits, {split_of[dialogue_id]} and {split}; keep it in one"]
    return [f"dialogue {dialogue_id!r}: occurs twice in {split}; dialogue ids must be unique"]


def index_problems(index: DialogueIndex, split: str, info: DatasetInfo, split_of: dict[str, str]) -> list[str]:
    """What a split's index shows to be wrong without a look at features: labels, speakers and repeated ids.

    Args:
        index: of the split.
        split: its name.
        info: the dataset facts.
        split_of: dialogue id -> split of the splits looked at before; this one's are added.
    """
    if len(index.speakers) != len(index.labels):
        counts = f"{len(index.speakers)} speakers for {len(index.labels)} labels"
        return [f"the {split} split has {counts}; `dclf data validate` names the dialogues"]
    problems = []
    for name, start, count in zip(index.dialogue_ids, index.offsets, index.lengths, strict=True):
        rows = slice(start, start + count)
        mistakes = [
            *_label_problems(index.labels[rows], count, info),
            *_index_problems("speaker", index.speakers[rows], count, info.speaker_count, "speaker count"),
        ]
        problems += [f"dialogue {name!r}: {problem}" for problem in mistakes] + repeated_id(name, split, split_of)
    return problems


def _problems(dialogue: Dialogue, info: DatasetInfo) -> Iterator[str]:
    if not isinstance(dialogue.dialogue_id, str) or not dialogue.dialogue_id:
        yield "the dialogue id must be a non-empty string; give it a name of its own"
    if dialogue.split not in SPLITS:
        yield f"split must be one of {', '.join(SPLITS)}, is {dialogue.split!r}"
    if len(dialogue) == 0:
        yield "must have at least one utterance, has none; leave it out"
    count = len(dialogue)
    yield from _label_problems(dialogue.labels, count, info)
    yield from _index_problems("speaker", dialogue.speakers, count, info.speaker_count, "speaker count")
    if dialogue.utterances and len(dialogue.utterances) != count:
        yield f"has {len(dialogue.utterances)} transcripts for {count} labels; give one for every utterance, or none"
    yield from _sentiment_problems(dialogue, info)
    yield from _modality_problems(dialogue, info)
    yield from _presence_problems(dialogue)


def _label_problems(labels: Any, count: int, info: DatasetInfo) -> Iterator[str]:
    return _index_problems("label", labels, count, len(info.class_names), "class names", least=UNLABELLED)


def _sentiment_problems(dialogue: Dialogue, info: DatasetInfo) -> Iterator[str]:
    if dialogue.sentiments is None:
        return
    if not info.sentiment_names:
        yield "has sentiments, whose names the dataset does not declare; name them or leave the sentiments out"
        return
    limit = len(info.sentiment_names)
    yield from _index_problems("sentiment", dialogue.sentiments, len(dialogue), limit, "sentiment names", least=-1)


def _index_problems(what: str, values: Any, count: int, limit: int, source: str, *, least: int = 0) -> Iterator[str]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        yield f"{what}s must be one row of integers, are {array.dtype} of shape {list(array.shape)}{_first(array)}"
        return
    if len(array) != count:
        yield f"has {len(array)} {what}s for {count} labels; there must be one for every utterance: {_REPAIR}"
    wrong = np.flatnonzero((array < least) | (array >= limit))
    if wrong.size:
        yield (
            f"{what} {int(array[wrong[0]])} at {places(wrong)} is out of range 0..{limit - 1}"
            f"{' and not -1 for none' if least < 0 else ''}; correct the {what} or the dataset's {source}"
        )


def _first(array: NDArray[Any]) -> str:
    """Return the first value of a row that is no whole number, and its place; empty where all of them are."""
    wrong = not_whole(array) if array.ndim == 1 else np.zeros(0, dtype=np.intp)
    return f": {array[wrong[0]]} at {places(wrong)} is no whole number" if wrong.size else ""


def _modality_problems(dialogue: Dialogue, info: DatasetInfo) -> Iterator[str]:
    present = set(dialogue.features)
    for modality in sorted(present - set(info.widths)):
        yield f"carries {modality} features, which the dataset does not declare; declare their width or leave them out"
    for modality in info.modalities:
        if modality not in present:
            yield f"lacks {modality} features, which the dataset declares; {_REPAIR}"
        else:
            yield from _matrix_problems(modality, dialogue.features[modality], len(dialogue), info.widths[modality])


def _presence_problems(dialogue: Dialogue) -> Iterator[str]:
    for modality, present in dialogue.present.items():
        if modality not in dialogue.features:
            yield f"says which {modality} features are missing, but has none of them; leave that out"
            continue
        if not isinstance(present, np.ndarray) or present.dtype != np.bool_ or present.shape != (len(dialogue),):
            yield f"must say which {modality} features are there as {len(dialogue)} truth values, one per utterance"
            continue
        matrix = np.asarray(dialogue.features[modality])
        if matrix.ndim == 2 and len(matrix) == len(present):
            wrong = np.flatnonzero(~present & np.any(matrix != 0, axis=1))
            if wrong.size:
                yield f"{modality} features at {places(wrong)} are said to be missing but are not zero; {_REPAIR}"


def _matrix_problems(modality: str, features: Any, count: int, width: int) -> Iterator[str]:
    matrix = np.asarray(features)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        yield f"{modality} features must be a matrix of numbers [n, {width}], are {matrix.dtype} {list(matrix.shape)}"
        return
    if matrix.shape[0] != count:
        yield (
            f"has {matrix.shape[0]} rows of {modality} features for {count} labels; there must be one for every "
            f"utterance: {_REPAIR}"
        )
    if matrix.shape[1] != width:
        yield f"{modality} features are {matrix.shape[1]} wide, the dataset declares {width}; {_REPAIR}"
    wrong = np.flatnonzero(~_finite_rows(matrix))
    if wrong.size:
        yield (
            f"{modality} features hold NaN or infinity in float32 at {places(wrong)}; extract them again or drop the "
            "dialogue"
        )


def _finite_rows(matrix: NDArray[Any]) -> NDArray[np.bool_]:
    # Judged as float32, the stored type: a float64 beyond its range would turn infinite in the shard.
    with np.errstate(over="ignore"):
        finite = np.isfinite(matrix.astype(np.float32, copy=False))
    rows: NDArray[np.bool_] = np.all(finite, axis=1)
    return rows
