"""Several dialogues as the tensors a model reads, packed utterance after utterance.

B  dialogues        N  utterances of all of them        D_m  width of modality m
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dclf.data.dialogue import Dialogue
from dclf.data.index import DialogueIndex
from dclf.layout import Layout


@dataclass(frozen=True, eq=False)
class Batch:
    """B dialogues of N utterances.

    Attributes:
        layout: which rows form which dialogue.
        features: modality -> float32 [N, D_m], raw (not standardised), zero where missing.
        speakers: int64 [N].
        labels: int64 [N], -1 where there is none.
        positions: int64 [N], row of each utterance in the flat arrays of the training split's ``DialogueIndex``;
            -1 for utterances that are not in it.
        dialogue_ids: B ids.
        present: modality -> bool [N], false where an utterance has no features in it; complete modalities are not
            named.
    """

    layout: Layout
    features: dict[str, Tensor]
    speakers: Tensor
    labels: Tensor
    positions: Tensor
    dialogue_ids: tuple[str, ...]
    present: Mapping[str, Tensor] = field(default_factory=dict)

    @cached_property
    def labelled(self) -> Tensor | None:
        """int64, the rows that have a label; None where all have one."""
        rows = (self.labels >= 0).nonzero()[:, 0]
        return None if len(rows) == len(self.labels) else rows

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        device = torch.device(device)
        return Batch(
            layout=Layout(self.layout.lengths, device),
            features={modality: rows.to(device, non_blocking=True) for modality, rows in self.features.items()},
            speakers=self.speakers.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            positions=self.positions.to(device, non_blocking=True),
            dialogue_ids=self.dialogue_ids,
            present={modality: rows.to(device, non_blocking=True) for modality, rows in self.present.items()},
        )


def collate(dialogues: Sequence[Dialogue], modalities: Sequence[str], index: DialogueIndex | None = None) -> Batch:
    """Lay dialogues end to end in the order given.

    Args:
        dialogues: at least one, each with the features of ``modalities``.
        modalities: which features to take.
        index: the training split's index, where the positions of training utterances are wanted.
    """
    if not dialogues:
        raise ValueError("a batch needs at least one dialogue, got none")
    return Batch(
        layout=Layout.of([len(dialogue) for dialogue in dialogues]),
        features={m: _rows(dialogue.features[m] for dialogue in dialogues) for m in modalities},
        speakers=_indices(dialogue.speakers for dialogue in dialogues),
        labels=_indices(dialogue.labels for dialogue in dialogues),
        positions=_indices(_positions(dialogue, index) for dialogue in dialogues),
        dialogue_ids=tuple(dialogue.dialogue_id for dialogue in dialogues),
        present=_present(dialogues, modalities),
    )


def _present(dialogues: Sequence[Dialogue], modalities: Sequence[str]) -> dict[str, Tensor]:
    """The masks of the modalities in which a row is missing."""
    partial = {m for dialogue in dialogues for m in dialogue.present}
    masks = {m: np.concatenate([_mask(dialogue, m) for dialogue in dialogues]) for m in modalities if m in partial}
    return {m: torch.from_numpy(mask) for m, mask in masks.items() if not mask.all()}


def _mask(dialogue: Dialogue, modality: str) -> NDArray[np.bool_]:
    mask = dialogue.present.get(modality)
    return np.ones(len(dialogue), np.bool_) if mask is None else mask


def _positions(dialogue: Dialogue, index: DialogueIndex | None) -> NDArray[np.int64]:
    if index is None or dialogue.dialogue_id not in index:
        return np.full(len(dialogue), -1, dtype=np.int64)
    start = index.offsets[index.position(dialogue.dialogue_id)]
    return np.arange(start, start + len(dialogue), dtype=np.int64)


def _rows(matrices: Iterable[NDArray[np.float32]]) -> Tensor:
    # Concatenating copies, also a single matrix: tensors must not share the shard's read-only memory.
    return torch.from_numpy(np.concatenate(list(matrices), dtype=np.float32))


def _indices(parts: Iterable[NDArray[np.integer]]) -> Tensor:
    return torch.from_numpy(np.concatenate(list(parts), dtype=np.int64))
