"""Shards that are like the paper's data in all that is looked at: name, classes, modalities, size of the test split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dclf.data import DatasetInfo, Dialogue, write_shards
from dclf.data.presets import IEMOCAP_CLASSES, MELD_CLASSES

CLASSES = {"iemocap": IEMOCAP_CLASSES, "meld": MELD_CLASSES}
TEST = {"iemocap": (31, 1623), "meld": (280, 2610)}
"""Dialogues and utterances (the paper's Table 2)."""
WIDTHS = {"text": 2, "audio": 2, "visual": 1}


def write_like_paper(
    folder: Path, dataset: str = "iemocap", *, utterances: int = 0, classes: int = 0, **changes: Any
) -> Path:
    """Write them, with one dialogue each for training and validation.

    Args:
        folder: of the shards.
        dataset: ``iemocap`` or ``meld``.
        utterances: of the test split, where other than the paper's.
        classes: how many of the classes occur, all where 0.
        changes: other facts of the ``DatasetInfo``.
    """
    names = CLASSES[dataset]
    info = DatasetInfo(dataset=dataset, class_names=names, widths=WIDTHS, speaker_count=2, provenance={})
    dialogues, count = TEST[dataset]
    sizes = _sizes(dialogues, utterances or count)
    write_shards(
        _dialogues(sizes, classes or len(names), changes.get("widths", WIDTHS)), folder, replace(info, **changes)
    )
    return folder


def _sizes(dialogues: int, utterances: int) -> list[int]:
    return [utterances // dialogues + (place < utterances % dialogues) for place in range(dialogues)]


def _dialogues(sizes: list[int], classes: int, widths: dict[str, int]) -> Iterator[Dialogue]:
    random = np.random.default_rng(0)
    for number, (split, size) in enumerate([("train", 12), ("val", 12), *(("test", size) for size in sizes)]):
        yield Dialogue(
            dialogue_id=str(number),
            split=split,
            speakers=np.arange(size, dtype=np.int32) % 2,
            labels=(np.arange(size, dtype=np.int32) + number) % classes,
            features={m: random.standard_normal((size, width), dtype=np.float32) for m, width in widths.items()},
        )
