"""Random batches of the smallest sizes at which a contract can be broken.

N   utterances of all dialogues, packed dialogue after dialogue         D_m   width of modality m
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dclf.data.dialogue import DatasetInfo
from dclf.layout import Layout

WIDTHS: Mapping[str, int] = {"text": 9, "audio": 5, "visual": 7}
LENGTHS = (5, 1, 8, 3)
"""Utterances per dialogue; one dialogue has no history at all."""
SPEAKERS = 3
SUBSETS: tuple[tuple[str, ...], ...] = (
    ("text",),
    ("audio",),
    ("visual",),
    ("text", "audio"),
    ("text", "visual"),
    ("audio", "visual"),
    ("text", "audio", "visual"),
)
CLASSES = ("happy", "sad", "neutral", "angry")
"""Emotions, not letters: some models' own terms of the loss read their sentiment."""
INFO = DatasetInfo(dataset="contract", class_names=CLASSES, widths=WIDTHS, speaker_count=SPEAKERS)

Rows = tuple[dict[str, Tensor], Tensor, Layout]
"""Raw features (modality -> float64 [N, D_m]), speakers (int64 [N]) and the layout."""


def random_rows(lengths: Sequence[int] = LENGTHS, seed: int = 0) -> Rows:
    """Dialogues of these lengths.

    Args:
        lengths: utterances per dialogue.
        seed: of features and speakers.
    """
    generator = torch.Generator().manual_seed(seed)
    layout = Layout.of(list(lengths))
    features = {
        m: torch.randn(layout.utterances, w, generator=generator, dtype=torch.float64) for m, w in WIDTHS.items()
    }
    return features, torch.randint(SPEAKERS, (layout.utterances,), generator=generator), layout


def picked(rows: Rows, utterances: Tensor, lengths: Sequence[int]) -> Rows:
    """Some of the utterances, which form dialogues of these lengths.

    Args:
        rows: all of them.
        utterances: int64, which utterances.
        lengths: of the dialogues that these are.
    """
    features, speakers, _ = rows
    return {m: x[utterances] for m, x in features.items()}, speakers[utterances], Layout.of(list(lengths))


def rows_of(layout: Layout, dialogue: int) -> Tensor:
    """Which utterances are of a dialogue, int64."""
    return (layout.dialogue_of == dialogue).nonzero()[:, 0]
