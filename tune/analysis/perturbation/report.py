"""What a model loses under each condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from dclf.perturb import Outcome
from tune.analysis.perturbation.scores import ConditionScore

RAW = "raw"


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
            are for; empty where there are none, or the data are others.
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
