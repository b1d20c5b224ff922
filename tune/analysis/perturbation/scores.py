"""What models came to under a perturbation test; needs neither torch nor Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from tune.study.scores import deviation

RESULTS, SUMMARY = "results.arrow", "summary.json"


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
        """Return plain values, ready for JSON; WF1 as shares."""
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


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """What one model came to; ``summary.json`` has it.

    Attributes:
        key: of the test, see ``tune.analysis.perturbation.files.key_of``.
        run_id: MLflow's id of the model's run.
        run_name: its name.
        model: base model and what of DCLF stands around it, such as ``mmgcn + dclf``.
        dataset: name of the data that were scored.
        shards_sha256: hash of the shard set.
        split: ``val`` or ``test``.
        seed: of the substitutions.
        utterances: scored under each condition.
        raw: WF1 of the raw dialogues, 0 to 1.
        scores: every condition but the raw one, in the order of the test.
        trial: number of the study's trial; None for a run that belongs to no study.
        training_seed: ``train.seed`` of the model.
        folder: of ``results.arrow`` and ``summary.json``.
    """

    key: str
    run_id: str
    run_name: str
    model: str
    dataset: str
    shards_sha256: str
    split: str
    seed: int
    utterances: int
    raw: float
    scores: tuple[ConditionScore, ...]
    trial: int | None = None
    training_seed: int
    folder: Path

    @cached_property
    def conditions(self) -> Mapping[str, ConditionScore]:
        """Name of a condition (``eics``, ``text-noise-30``) -> its scores."""
        return {score.name: score for score in self.scores}

    @property
    def files(self) -> tuple[Path, Path]:
        """``results.arrow`` and ``summary.json``."""
        return self.folder / RESULTS, self.folder / SUMMARY

    def score(self, name: str) -> ConditionScore:
        """Return the condition of this name, such as ``eics``; KeyError where it was not tested."""
        if name not in self.conditions:
            raise KeyError(f"{name!r} was not tested; {', '.join(self.conditions)} were")
        return self.conditions[name]

    def wf1(self, name: str) -> float:
        """Return WF1 of ``raw`` or of a condition, the mean over its draws; KeyError where it was not tested."""
        return self.raw if name == "raw" else self.score(name).wf1

    def drop(self, name: str) -> float:
        """Return how much of the raw WF1 a condition costs; negative where it grows."""
        return self.raw - self.wf1(name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; WF1 as shares."""
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
            "key": self.key,
            **({} if self.trial is None else {"trial": self.trial}),
            "training_seed": self.training_seed,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], folder: Path) -> ModelScores:
        """Return the inverse of ``to_dict``; KeyError or TypeError where something is missing."""
        raw = plain["raw"]["wf1"]
        same = ("key", "run_id", "model", "dataset", "shards_sha256", "split", "seed", "utterances", "training_seed")
        return cls(
            **{name: plain[name] for name in same},
            run_name=plain["name"],
            raw=raw,
            scores=tuple(
                ConditionScore(
                    kind=condition["kind"],
                    modality=condition["modality"] or "",
                    share=condition["share"],
                    values=tuple(condition["wf1_by_draw"]),
                    raw=raw,
                )
                for condition in plain["conditions"]
            ),
            trial=plain.get("trial"),
            folder=folder,
        )


@dataclass(frozen=True, kw_only=True)
class Perturbations:
    """The trainings of a study, or the one of a run, as far as the same test has scored them.

    Attributes:
        kind: ``study`` or ``run``.
        name: of the study or run.
        draws: of each kind of substitution.
        trainings: at least one, by trial and seed.
        missing: (trial, seed) of complete trainings that this test has not scored.
        mask_seeds: of the damaged modalities, ascending; empty where none was damaged.
        folder: of the tables.
    """

    kind: str
    name: str
    draws: int
    trainings: tuple[ModelScores, ...]
    missing: tuple[tuple[int, int], ...] = ()
    mask_seeds: tuple[int, ...] = ()
    folder: Path

    @property
    def split(self) -> str:
        """``val`` or ``test``."""
        return self.trainings[0].split

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of all conditions, in the order of the test."""
        return tuple(dict.fromkeys(name for training in self.trainings for name in training.conditions))

    def of(self, trial: int) -> dict[int, ModelScores]:
        """Return seed -> training of one trial."""
        return {training.training_seed: training for training in self.trainings if training.trial == trial}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; WF1 as shares."""
        first = self.trainings[0]
        return {
            self.kind: self.name,
            "dataset": first.dataset,
            "split": first.split,
            "seed": first.seed,
            "draws": self.draws,
            "utterances": first.utterances,
            "trainings": [{**one.to_dict(), "results": str(one.files[0])} for one in self.trainings],
            "missing": [list(key) for key in self.missing],
            "folder": str(self.folder),
        }
