"""What one dialogue and one dataset are, in memory.

n      utterances of the dialogue
D_m    raw feature width of modality m
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODALITIES = ("text", "audio", "visual")
"""Every modality the project knows, in the order in which features are concatenated."""

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Dialogue:
    """One conversation: who spoke, what each utterance's emotion is, and its features.

    Attributes:
        dialogue_id: unique within the dataset, over all splits.
        split: one of ``SPLITS``.
        speakers: int32 [n], index of the interlocutor, 0 .. ``speaker_count - 1``.
        labels: int32 [n], index into ``DatasetInfo.class_names``.
        utterances: n transcripts, or an empty tuple where the dataset ships none.
        features: modality -> float32 [n, D_m].
    """

    dialogue_id: str
    split: str
    speakers: NDArray[np.int32]
    labels: NDArray[np.int32]
    features: Mapping[str, NDArray[np.float32]]
    utterances: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What holds for every dialogue of a shard set; stored as the Arrow schema's metadata.

    Attributes:
        dataset: name, such as ``iemocap`` or ``generated-iemocap``.
        class_names: emotion of each label index.
        widths: modality -> D_m, in the order of ``MODALITIES``.
        speaker_count: number of distinct speaker indices.
        provenance: how the shards came about (importer, source hash, seed, held-out dialogues), for the feature card.
    """

    dataset: str
    class_names: tuple[str, ...]
    widths: Mapping[str, int]
    speaker_count: int
    provenance: Mapping[str, object] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities the shards carry, in the order of ``MODALITIES``."""
        return tuple(m for m in MODALITIES if m in self.widths)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, ready for JSON."""
        return {**asdict(self), "class_names": list(self.class_names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DatasetInfo:
        """The inverse of ``to_dict``."""
        return cls(**{**data, "class_names": tuple(data["class_names"])})
