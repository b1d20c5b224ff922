"""Mean and deviation of every feature column over the training split, and the module that applies them.

D_m  width of modality m        N  utterances of a batch
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dclf.data.dialogue import Dialogue

CONSTANT = 2 * float(np.finfo(np.float32).eps)
"""A column whose deviation is at most this share of its mean holds float32 rounding only, and counts as constant."""

Columns = Mapping[str, NDArray[np.float64]]
Present = Mapping[str, Tensor]
"""Modality -> bool [N], which rows are there; a modality that is not named has them all."""


@dataclass(frozen=True, eq=False)
class FeatureMoments:
    """Mean and deviation of each feature column.

    Attributes:
        mean: modality -> float64 [D_m].
        std: modality -> float64 [D_m], population deviation; 1 for constant columns.
    """

    mean: Columns
    std: Columns


class FeatureStatistics:
    """Running sums over utterances; those of several workers add up.

    Attributes:
        modalities: that are watched.
        sums: per modality ``<modality>/count`` (float64 [1]), ``<modality>/sum`` and ``<modality>/squares`` (float64
            [D_m]); rows that are missing are in none of them. Adding the arrays of all workers, for example by an
            all-reduce, gives the statistics of all their dialogues.
    """

    def __init__(self, widths: Mapping[str, int]) -> None:
        """Start empty.

        Args:
            widths: modality -> D_m of the modalities to watch.
        """
        self.modalities = tuple(widths)
        self.sums: dict[str, NDArray[np.float64]] = {}
        for modality, width in widths.items():
            self.sums[f"{modality}/count"] = np.zeros(1)
            self.sums[f"{modality}/sum"] = np.zeros(width)
            self.sums[f"{modality}/squares"] = np.zeros(width)

    @classmethod
    def over(cls, dialogues: Iterable[Dialogue], widths: Mapping[str, int]) -> FeatureStatistics:
        """The statistics of these dialogues."""
        statistics = cls(widths)
        for dialogue in dialogues:
            statistics.accumulate(dialogue)
        return statistics

    def accumulate(self, dialogue: Dialogue) -> None:
        """Add the utterances of a dialogue."""
        for modality in self.modalities:
            features = dialogue.features[modality]
            if modality in dialogue.present:
                features = features[dialogue.present[modality]]
            rows = features.astype(np.float64)
            self.sums[f"{modality}/count"] += len(rows)
            self.sums[f"{modality}/sum"] += rows.sum(axis=0)
            self.sums[f"{modality}/squares"] += np.square(rows).sum(axis=0)

    def merge(self, other: FeatureStatistics) -> None:
        """Add what another one has seen; ValueError where the modalities or widths differ."""
        shapes, others = ({name: sums.shape for name, sums in one.sums.items()} for one in (self, other))
        if shapes != others:
            raise ValueError("feature statistics add up only over the same modalities and widths")
        for name, values in other.sums.items():
            self.sums[name] += values

    def finalise(self) -> FeatureMoments:
        """Mean and deviation of all that was seen; ValueError where nothing was of a modality."""
        counts = {modality: float(self.sums[f"{modality}/count"][0]) for modality in self.modalities}
        if not any(counts.values()):
            raise ValueError("no training utterance was seen: the training split is empty, or no worker got any of it")
        if lacking := [modality for modality, count in counts.items() if count == 0]:
            raise ValueError(
                f"every training utterance lacks {', '.join(lacking)} features: leave the modality out of "
                "data.modalities, or import the data again with them"
            )
        mean, std = {}, {}
        for modality in self.modalities:
            count = counts[modality]
            mean[modality] = self.sums[f"{modality}/sum"] / count
            variance = self.sums[f"{modality}/squares"] / count - np.square(mean[modality])
            std[modality] = _deviation(variance, mean[modality])
        return FeatureMoments(mean=mean, std=std)


def _deviation(variance: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    std = np.sqrt(np.maximum(variance, 0.0))
    return np.where(std <= CONSTANT * np.abs(mean), 1.0, std)


class Standardiser(nn.Module):
    """Brings every feature column to mean 0 and deviation 1 over the training split.

    Its buffers live in the checkpoint: a fresh one, which changes nothing, takes them from the state dict.
    """

    def __init__(self, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.modalities = tuple(widths)
        for modality, width in widths.items():
            self.register_buffer(f"{modality}_mean", torch.zeros(width))
            self.register_buffer(f"{modality}_std", torch.ones(width))

    @classmethod
    def of(cls, moments: FeatureMoments) -> Standardiser:
        """One that applies these moments."""
        standardiser = cls({modality: len(mean) for modality, mean in moments.mean.items()})
        for modality in moments.mean:
            standardiser.get_buffer(f"{modality}_mean").copy_(torch.from_numpy(moments.mean[modality]))
            standardiser.get_buffer(f"{modality}_std").copy_(torch.from_numpy(moments.std[modality]))
        return standardiser

    def forward(self, features: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Standardise; modalities that it does not know are left out.

        Args:
            features: modality -> [N, D_m], and the result likewise.
            present: modality -> bool [N], false on rows that are missing: they become zero.
        """
        rows = {
            modality: (features[modality] - self.get_buffer(f"{modality}_mean")) / self.get_buffer(f"{modality}_std")
            for modality in self.modalities
        }
        return zero_where_missing(rows, present)


def zero_where_missing(rows: dict[str, Tensor], present: Present | None) -> dict[str, Tensor]:
    """modality -> rows [N, F], those that are missing become zero and get no gradient; nothing happens without masks.

    Args:
        rows: of every modality.
        present: modality -> bool [N]; one that is not named is complete.
    """
    if not present:
        return rows
    return {m: x.masked_fill(~present[m][:, None], 0.0) if m in present else x for m, x in rows.items()}
