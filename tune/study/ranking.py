"""Which trials are the best: by the first objective, or by all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dclf.config import Config
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.scores import Score, scores_of

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
    trials = list(_complete(folder, len(scores)))
    return [trials[place] for place in front([_ranks(scores, trial) for trial in trials])]


def front(ranks: Sequence[tuple[float, ...]]) -> list[int]:
    """Places of the tuples that no other dominates, smaller being better; in the order of the tuples, then places."""
    order = sorted(range(len(ranks)), key=lambda place: (ranks[place], place))
    places: list[int] = []
    for place in order:
        # What dominates this one stands before it, and so does something in the front that dominates both.
        if not any(_beats(ranks[other], ranks[place]) for other in places):
            places.append(place)
    return places


def sealed_values(folder: StudyFolder, trial: TrialRecord, score: str) -> list[float]:
    """A score of a trial on the sealed test split, one per training; empty where it was not scored there."""
    tested = folder.ledger.tested.items()
    return [scores[score] for (number, _), scores in tested if number == trial.number and score in scores]


def winner_scores(folder: StudyFolder) -> dict[str, float]:
    """Every score of a search's best trial on the sealed test split, the mean of its trainings; empty before.

    A comparison, which chooses none, has none.
    """
    best = best_trial(folder)
    return {} if best is None or folder.definition.sweep.test == "all" else _mean_scores(folder, best)


def base_scores(folder: StudyFolder) -> dict[str, float]:
    """Every score of a search's base configuration on the sealed test split, likewise; empty where it has none."""
    base = base_trial(folder)
    return {} if base is None or folder.definition.sweep.test == "all" else _mean_scores(folder, base)


def _mean_scores(folder: StudyFolder, trial: TrialRecord) -> dict[str, float]:
    tested = [scores for (number, _), scores in folder.ledger.tested.items() if number == trial.number]
    return {name: math.fsum(scores[name] for scores in tested) / len(tested) for name in (tested[0] if tested else ())}


def untested(folder: StudyFolder) -> list[tuple[int, int]]:
    """(trial, seed) of every training that will be scored on the sealed test split and has not been.

    With ``sweep.test`` best the winner is known when all trials have ended; until then this names the best so far.
    """
    ranked = _complete(folder, 1) if folder.definition.sweep.test == "all" else top_trials(folder, 1)
    tested = folder.ledger.tested
    return [(trial.number, seed) for trial in ranked for seed in trial.runs if (trial.number, seed) not in tested]


def base_untested(folder: StudyFolder) -> list[tuple[int, int]]:
    """(trial, seed) of every training of a search's base configuration that was not scored on the sealed test split.

    They are scored beside the winner, so that its gain is known there too. None where the base configuration was not
    tried or its trial did not end complete: less training is no base to compare with.
    """
    base = None if folder.definition.sweep.test == "all" else base_trial(folder)
    if base is None or base.state != "complete":
        return []
    return [(base.number, seed) for seed in base.runs if (base.number, seed) not in folder.ledger.tested]


def base_trial(folder: StudyFolder) -> TrialRecord | None:
    """The first trial that ran the base configuration itself; None where none did."""
    sections = folder.definition.config
    return next((trial for trial in folder.ledger.trials.values() if _is_base(trial.params, sections)), None)


def value_at(sections: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value of a dotted key in nested dictionaries; whatever stands behind the second dot is one name."""
    value: Any = sections
    for part in key.split(".", 2):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def configured(sections: Mapping[str, Any], key: str, model: str = "") -> Any:
    """What a configuration says of a dotted key, with lists for tuples; None where there is no such key.

    Args:
        sections: the configuration as nested dictionaries.
        key: an option of the base model that the configuration leaves out has the model's own default.
        model: whose default it is, where that is not the configuration's base model.
    """
    value = value_at(sections, key, _ABSENT)
    if value is not _ABSENT:
        return listed(value)
    if not key.startswith("model.options."):
        return None
    # Imported here: only the base model itself, which brings torch, knows its defaults.
    from tune.config.overrides import value_of  # noqa: PLC0415

    config = Config.from_dict(sections)
    return value_of(replace(config, model=replace(config.model, name=model or config.model.name)), key)


def listed(value: Any) -> Any:
    """Tuples as lists, as JSON and YAML give them back."""
    if isinstance(value, Mapping):
        return {key: listed(item) for key, item in value.items()}
    return [listed(item) for item in value] if isinstance(value, list | tuple) else value


def _is_base(params: Mapping[str, Any], sections: Mapping[str, Any]) -> bool:
    """Whether nothing is changed."""
    model = str(params.get("model.name", ""))
    return all(configured(sections, key, model) == listed(value) for key, value in params.items())


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
