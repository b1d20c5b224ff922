"""What the draws of one condition came to; needs neither torch nor Ray."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tune.study.scores import deviation


@dataclass(frozen=True, kw_only=True)
class ConditionScore:
    """The scores of all draws of one condition.

    Attributes:
        kind: ``eccs``, ``eics``, ``cut`` (the own context, up to the target), ``missing`` or ``noise``.
        modality: the damaged one; empty for substitutions.
        share: of the utterances that are damaged, 0 to 1; None for substitutions.
        values: WF1 of every draw, 0 to 1.
        raw: WF1 of the raw dialogues, 0 to 1.
    """

    kind: str
    modality: str = ""
    share: float | None = None
    values: tuple[float, ...]
    raw: float

    @property
    def name(self) -> str:
        """``eics``, or ``text-noise-30`` for noise in the text of 30 % of the utterances."""
        return self.kind if self.share is None else f"{self.modality}-{self.kind}-{100 * self.share:g}"

    @property
    def wf1(self) -> float:
        """Mean over the draws, 0 to 1."""
        return fmean(self.values)

    @property
    def deviation(self) -> float:
        """Sample standard deviation (n - 1) over the draws; NaN for a single one."""
        return deviation(self.values)

    @property
    def drop(self) -> float:
        """How much of the raw WF1 is lost on average; negative where it grows."""
        return self.raw - self.wf1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; WF1 as shares."""
        return {
            "name": self.name,
            "kind": self.kind,
            "modality": self.modality or None,
            "share": self.share,
            "draws": len(self.values),
            "wf1": self.wf1,
            "wf1_std": None if math.isnan(self.deviation) else self.deviation,
            "drop": self.drop,
            "wf1_by_draw": list(self.values),
        }
