"""What one dialogue and one dataset are, in memory.

n      utterances of the dialogue
D_m    raw feature width of modality m
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.modalities import MODALITIES, SPLITS

__all__ = ["MODALITIES", "SPLITS", "UNLABELLED", "DatasetInfo", "Dialogue"]

UNLABELLED = -1
"""The label of an utterance that nobody labelled: context for the others, and nothing else."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dialogue:
    """One conversation: who spoke, what each utterance's emotion is, and its features.

    Attributes:
        dialogue_id: unique within the dataset, over all splits.
        split: one of ``SPLITS``.
        speakers: int32 [n], index of the interlocutor, 0 .. ``speaker_count - 1``.
        labels: int32 [n], index into ``DatasetInfo.class_names``; ``UNLABELLED`` (-1) where there is none.
        features: modality -> float32 [n, D_m], zero where the utterance has none in this modality.
        utterances: n transcripts, or an empty tuple where the dataset ships none.
        sentiments: int32 [n], index into ``DatasetInfo.sentiment_names``, -1 where absent; None without any.
        present: modality -> bool [n], false where the utterance has no features in that modality. One that is not
            named here is complete.
    """

    dialogue_id: str
    split: str
    speakers: NDArray[np.int32]
    labels: NDArray[np.int32]
    features: Mapping[str, NDArray[np.float32]]
    utterances: tuple[str, ...] = ()
    sentiments: NDArray[np.int32] | None = None
    present: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def missing(self) -> dict[str, int]:
        """Modality -> utterances without features in it; a modality that has them all is not named."""
        counts = {m: int(np.count_nonzero(~mask)) for m, mask in self.present.items()}
        return {m: count for m, count in counts.items() if count}

    def only(self, modalities: Iterable[str]) -> Dialogue:
        """The same dialogue with the features of these modalities, as far as it has them; nothing is copied."""
        names = tuple(modalities)
        return replace(
            self,
            features={m: self.features[m] for m in names if m in self.features},
            present={m: self.present[m] for m in names if m in self.present},
        )


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What holds for every dialogue of a shard set; stored as the Arrow schema's metadata.

    Attributes:
        dataset: name, such as ``iemocap`` or ``generated-iemocap``.
        class_names: emotion of each label index.
        widths: modality -> D_m, in the order of ``MODALITIES``.
        speaker_count: number of distinct speaker indices.
        provenance: how the shards came about (importer, source hash, seed, held-out dialogues), for the feature card.
        sentiment_names: sentiment of each index of ``Dialogue.sentiments``; empty where the dataset has none.
    """

    dataset: str
    class_names: tuple[str, ...]
    widths: Mapping[str, int]
    speaker_count: int
    provenance: Mapping[str, object] = field(default_factory=dict)
    sentiment_names: tuple[str, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities the shards carry, in the order of ``MODALITIES``."""
        return tuple(m for m in MODALITIES if m in self.widths)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, ready for JSON."""
        names = {"class_names": list(self.class_names), "sentiment_names": list(self.sentiment_names)}
        return {**asdict(self), **names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DatasetInfo:
        """The inverse of ``to_dict``; also of those written before there were sentiments."""
        names = {name: tuple(data.get(name, ())) for name in ("class_names", "sentiment_names")}
        return cls(**{**data, **names})
