"""What a model loses under each condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from statistics import fmean
from typing import Any

from dclf.perturb import Outcome
from tune.report.scores import deviation

RAW = "raw"


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


@dataclass(frozen=True, kw_only=True, eq=False)
class PerturbationReport:
    """A finished test.

    Attributes:
        run_id: MLflow's id of the model's run.
        run_name: its name.
        model: base model and what of DCLF stands around it, such as ``mmgcn + dclf``.
        dataset: name of the data that were scored.
        shards_sha256: hash of the shard set.
        split: ``val`` or ``test``.
        seed: of the suite.
        outcomes: what the model said under every condition and draw, the raw one first.
        published: the paper's WF1 in percent for this model, ``raw``, ``eccs`` and ``eics``, and the ``dataset`` they
            are for; empty where there are none.
    """

    run_id: str
    run_name: str
    model: str
    dataset: str
    shards_sha256: str
    split: str
    seed: int
    outcomes: tuple[Outcome, ...]
    published: Mapping[str, Any]

    @cached_property
    def raw(self) -> float:
        """WF1 of the raw dialogues, 0 to 1."""
        return self.outcomes[0].scores["wf1"]

    @property
    def utterances(self) -> int:
        """How many were scored under each condition."""
        return len(self.outcomes[0].targets)

    @cached_property
    def scores(self) -> tuple[ConditionScore, ...]:
        """Every condition but the raw one, in the order of the test."""
        raw, kinds = self.raw, groupby(self.outcomes[1:], _identity)
        return tuple(
            ConditionScore(kind=kind, modality=modality, share=share, values=_wf1s([*drawn]), raw=raw)
            for (kind, modality, share), drawn in kinds
        )

    def score(self, name: str) -> ConditionScore:
        """The condition of this name, such as ``eics``; KeyError where it was not tested."""
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(f"{name!r} was not tested; {', '.join(score.name for score in self.scores)} were")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "run_id": self.run_id,
            "name": self.run_name,
            "model": self.model,
            "dataset": self.dataset,
            "shards_sha256": self.shards_sha256,
            "split": self.split,
            "seed": self.seed,
            "utterances": self.utterances,
            "raw": {"wf1": self.raw},
            "conditions": [score.to_dict() for score in self.scores],
        }


def _identity(outcome: Outcome) -> tuple[str, str, float | None]:
    said = outcome.condition
    share = said.get("share")
    return str(said["kind"]), str(said.get("modalities", "")), None if share is None else float(share)


def _wf1s(outcomes: Sequence[Outcome]) -> tuple[float, ...]:
    return tuple(outcome.scores["wf1"] for outcome in outcomes)
