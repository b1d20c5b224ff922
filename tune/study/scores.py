"""Objectives as people read them: a label, percent where the score is a share, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dclf.training.reports import ROBUST_SCORES, EpochReport
from tune.study.definition import StudyDefinition

_LABELS = {
    "wf1": "validation WF1",
    "wa": "validation WA",
    "eccs/wf1": "validation WF1 under ECCS",
    "eics/wf1": "validation WF1 under EICS",
    "shift/wf1": "validation WF1 on emotion shifts",
}
_PER_CLASS = {"f1": "validation F1", "accuracy": "validation accuracy"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One objective of a study.

    Attributes:
        name: key of ``scores_after``, or another number's name.
        direction: ``maximize`` or ``minimize``.
    """

    name: str
    direction: str = "maximize"

    @property
    def label(self) -> str:
        """In words, such as ``validation F1 of sad``."""
        kind, _, emotion = self.name.partition("/")
        if emotion and kind in _PER_CLASS:
            return f"{_PER_CLASS[kind]} of {emotion}"
        return _LABELS.get(self.name, self.name)

    @property
    def is_share(self) -> bool:
        """Whether it lies in [0, 1] and is printed in percent."""
        return self.name in _LABELS or self.name.partition("/")[0] in _PER_CLASS

    @property
    def scale(self) -> float:
        """What a value is multiplied with for printing."""
        return 100.0 if self.is_share else 1.0

    @property
    def unit_label(self) -> str:
        """The label with its unit, for axes and heads of columns."""
        return f"{self.label} (%)" if self.is_share else self.label

    def rank(self, value: float) -> float:
        """A number that is smaller for a better value; infinite for none."""
        if math.isnan(value):
            return math.inf
        return -value if self.direction == "maximize" else value

    def gain(self, value: float, base: float) -> float:
        """How much better ``value`` is than ``base``, positive for better, on the printed scale."""
        return (self.rank(base) - self.rank(value)) * self.scale

    def text(self, values: Sequence[float], mean: float) -> str:
        """The mean over seeds, ``68.42`` or with several seeds ``68.42 ± 0.31``.

        Args:
            values: of the seeds, as far as they are known.
            mean: of the trial.
        """
        number = self.number(mean)
        spread = deviation(values)
        return number if math.isnan(spread) else f"{number} ± {self.number(spread)}"

    def mean_text(self, values: Sequence[float]) -> str:
        """``text`` of values that are all known: their own mean."""
        return self.text(values, math.fsum(values) / len(values))

    def number(self, value: float) -> str:
        """Percent with two decimals, or four significant digits of what is no share."""
        if math.isnan(value):
            return "–"
        return f"{value * self.scale:.2f}" if self.is_share else f"{value:.4g}"


WF1, WA = Score(name="wf1"), Score(name="wa")


def scores_of(definition: StudyDefinition) -> tuple[Score, ...]:
    """The objectives of a study, the ranking one first."""
    return tuple(Score(name=name, direction=direction) for name, direction in definition.sweep.objectives.items())


def scores_after(history: Sequence[EpochReport], epoch: int) -> dict[str, float]:
    """What objectives are read from after an epoch: the validation scores of the best epoch so far, by name.

    Those under substituted contexts and on emotion shifts are NaN after an epoch that they were not asked for.

    Args:
        history: all epochs from the first on.
        epoch: one of them, counted from 1.
    """
    report = history[epoch - 1]
    unknown = dict.fromkeys(ROBUST_SCORES, math.nan)
    return {**unknown, **history[report.best_epoch - 1].validation, **report.robust}


def objective_curve(history: Sequence[EpochReport], objective: str) -> list[float]:
    """An objective at the best epoch so far, after each epoch from the first on; NaN where that is not known."""
    return [scores_after(history, report.epoch)[objective] for report in history]


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n - 1); NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return math.nan
    mean = math.fsum(values) / count
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Dotted key -> its shortest ending that no other key shares, for axes and heads of columns."""
    return {key: _shortest(key, [other for other in keys if other != key]) for key in keys}


def _shortest(key: str, others: Sequence[str]) -> str:
    parts = key.split(".")
    for count in range(1, len(parts)):
        ending = ".".join(parts[-count:])
        if not any(other == ending or other.endswith(f".{ending}") for other in others):
            return ending
    return key


def value_text(value: object) -> str:
    """A parameter's value: numbers with four significant digits, lists as ``text + audio``."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " + ".join(map(value_text, value))
    return str(value)
