"""Which trials are the best: by the first objective, or by all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tune.report.scores import Score, scores_of
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord

_ABSENT = object()


def best_trial(folder: StudyFolder) -> TrialRecord | None:
    """The complete trial with the best first objective, the earlier of equals; None where there is none."""
    return next(iter(top_trials(folder, 1)), None)


def top_trials(folder: StudyFolder, count: int) -> list[TrialRecord]:
    """The best complete trials by the first objective, the best first; NaN ranks nowhere."""
    first = scores_of(folder.definition)[0]
    return sorted(_complete(folder, 1), key=lambda trial: (first.rank(trial.values[0]), trial.number))[:count]


def pareto(folder: StudyFolder) -> list[TrialRecord]:
    """The complete trials that no other beats in one objective without losing in another, the best first.

    Ordered by the first objective; with one objective, all trials that reach the best value.
    """
    scores = scores_of(folder.definition)
    ranked = [(_ranks(scores, trial), trial) for trial in _complete(folder, len(scores))]
    ranked.sort(key=lambda pair: (pair[0], pair[1].number))
    front: list[tuple[tuple[float, ...], TrialRecord]] = []
    for ranks, trial in ranked:
        # A trial that beats this one stands before it, and the front's best of those beats it too.
        if not any(_beats(other, ranks) for other, _ in front):
            front.append((ranks, trial))
    return [trial for _, trial in front]


def base_trial(folder: StudyFolder) -> TrialRecord | None:
    """The first trial that ran the base configuration itself; None where none did."""
    sections = folder.definition.config
    return next((trial for trial in folder.ledger.trials.values() if _is_base(trial.params, sections)), None)


def value_at(sections: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value of a dotted key in nested dictionaries."""
    found: Any = sections
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return default
        found = found[part]
    return found


def _is_base(params: Mapping[str, Any], sections: Mapping[str, Any]) -> bool:
    """Whether nothing is changed; a base model's option that the base leaves out stands for its default."""
    wanted = {key: value_at(sections, key, _ABSENT) for key in params}
    return all(value is _ABSENT or _plain(value) == _plain(params[key]) for key, value in wanted.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _complete(folder: StudyFolder, count: int) -> Iterable[TrialRecord]:
    """Complete trials whose first ``count`` values are numbers."""
    for trial in folder.ledger.trials.values():
        values = trial.values[:count]
        if trial.state == "complete" and len(values) == count and not any(map(math.isnan, values)):
            yield trial


def _ranks(scores: Iterable[Score], trial: TrialRecord) -> tuple[float, ...]:
    return tuple(score.rank(value) for score, value in zip(scores, trial.values, strict=False))


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
