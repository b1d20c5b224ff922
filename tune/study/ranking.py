"""Which trials are the best: by the first objective, or by all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dclf.config import Config
from tune.config.yaml_files import plain
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.scores import Score, scores_of

_ABSENT = object()


MARGIN = 0.5
"""How far below the front's best first objective a picked trial may lie: percentage points of a share."""


def best_trial(folder: StudyFolder) -> TrialRecord | None:
    """The winner of a study, which ``pick_trial`` says; None where no trial is complete."""
    scores = scores_of(folder.definition)
    return pick_trial(scores, _front(scores, _complete(folder, len(scores))))


def pick_trial(scores: Sequence[Score], trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """One trial of a front, the earlier of equals.

    With one objective the best. With several the one with the best second objective, among those whose first one comes
    within ``MARGIN`` of the front's best; of equals the better first one.

    Args:
        scores: the objectives.
        trials: the front.
    """
    ranked = [(_ranks(scores, trial), trial) for trial in trials]
    if not ranked:
        return None
    # A margin that is reached exactly must not be missed by how binary fractions round.
    limit = min(ranks[0] for ranks, _ in ranked) + MARGIN / scores[0].scale + 1e-9
    near = [(ranks, trial) for ranks, trial in ranked if ranks[0] <= limit]
    # The second objective where there is one, then the first.
    return min(near, key=lambda one: (*one[0][1:2], one[0][0], one[1].number))[1]


def with_trial(scores: Sequence[Score], trials: Sequence[TrialRecord], trial: TrialRecord) -> list[TrialRecord]:
    """Whatever ``pick_trial`` needs of these and a further complete trial: of a single objective the best alone.

    A trial without a number for every objective changes nothing.
    """
    if len(trial.values) < len(scores) or any(map(math.isnan, trial.values)):
        return list(trials)
    candidates = _front(scores, [*trials, trial])
    return candidates[:1] if len(scores) == 1 else candidates


def pick_rule(scores: Sequence[Score]) -> str:
    """How ``pick_trial`` chooses among several objectives, as the end of a sentence; empty with one objective."""
    if len(scores) == 1:
        return ""
    first, second = scores[:2]
    unit = " points" if first.is_share else ""
    return (
        f"of the trials on the front whose {first.label} is within {MARGIN:g}{unit} of the best there, the one with "
        f"the best {second.label}"
    )


def top_trials(folder: StudyFolder, count: int) -> list[TrialRecord]:
    """The best complete trials by the first objective, the best first; NaN ranks nowhere."""
    first = scores_of(folder.definition)[0]
    return sorted(_complete(folder, 1), key=lambda trial: (first.rank(trial.values[0]), trial.number))[:count]


def pareto(folder: StudyFolder) -> list[TrialRecord]:
    """The complete trials that no other beats in one objective without losing in another, the best first.

    Ordered by the first objective; with one objective, all trials that reach the best value.
    """
    scores = scores_of(folder.definition)
    return _front(scores, _complete(folder, len(scores)))


def _front(scores: Sequence[Score], complete: Iterable[TrialRecord]) -> list[TrialRecord]:
    trials = list(complete)
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
    return _mean_scores(folder, best_trial(folder))


def base_scores(folder: StudyFolder) -> dict[str, float]:
    """Every score of a search's base configuration on the sealed test split, likewise; empty where it has none."""
    return _mean_scores(folder, base_trial(folder))


def _mean_scores(folder: StudyFolder, trial: TrialRecord | None) -> dict[str, float]:
    if trial is None or folder.definition.sweep.test == "all":
        return {}
    tested = [scores for (number, _), scores in folder.ledger.tested.items() if number == trial.number]
    return {name: math.fsum(scores[name] for scores in tested) / len(tested) for name in (tested[0] if tested else ())}


def untested(folder: StudyFolder) -> list[tuple[int, int]]:
    """(trial, seed) of every training that will be scored on the sealed test split and has not been.

    With ``sweep.test`` best the winner is known when all trials have ended; until then this names the best so far.
    """
    winner = best_trial(folder)
    winners = [] if winner is None else [winner]
    ranked = _complete(folder, 1) if folder.definition.sweep.test == "all" else winners
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
    tested = folder.ledger.tested
    return [(base.number, seed) for seed in base.runs if (base.number, seed) not in tested]


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
        return plain(value)
    if not key.startswith("model.options."):
        return None
    # Imported here: only the base model itself, which brings torch, knows its defaults.
    from tune.config.overrides import value_of  # noqa: PLC0415

    config = Config.from_dict(sections)
    return value_of(replace(config, model=replace(config.model, name=model or config.model.name)), key)


def _is_base(params: Mapping[str, Any], sections: Mapping[str, Any]) -> bool:
    """Whether nothing is changed."""
    model = str(params.get("model.name", ""))
    return all(configured(sections, key, model) == plain(value) for key, value in params.items())


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
