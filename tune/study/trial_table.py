"""The trials of a study as a table, and its best ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tune.study.best import best_config, best_yaml
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.ranking import best_trial, pareto
from tune.study.scores import deviation, scores_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["best_config", "best_trial", "best_yaml", "pareto", "trials_frame"]


def trials_frame(folder: StudyFolder) -> pd.DataFrame:
    """One row per trial, in the order of creation.

    Columns, S an objective's name and N a seed: ``number``, ``state``; per objective ``S``, its mean over seeds;
    per parameter its dotted key; with several seeds ``S_std``, the sample standard deviation, and ``S_seedN``;
    ``epochs`` over all seeds; ``seconds`` that it ran, the time between two drivers left out; ``run_ids`` of MLflow,
    parted by blanks; ``origin``; ``reason``. What is not known yet is NaN.
    """
    # Imported here: the ranking beside it serves commands that should not wait for pandas.
    import pandas as pd  # noqa: PLC0415

    trials = list(folder.ledger.trials.values())
    names = [score.name for score in scores_of(folder.definition)]
    keys = param_keys(folder)
    seeds = sorted({seed for trial in trials for seed in trial.runs})
    columns = list(_columns(names, keys, seeds))
    return pd.DataFrame([_row(trial, names, keys, seeds) for trial in trials], columns=columns)


def param_keys(folder: StudyFolder) -> list[str]:
    """The dotted keys that the study varies: those of its space, then others that a trial has."""
    used = (key for trial in folder.ledger.trials.values() for key in trial.params)
    return list(dict.fromkeys([*folder.definition.space, *used]))


def seed_values(trial: TrialRecord, place: int) -> dict[int, float]:
    """Seed -> the value of the objective at this place, of the seeds that are finished."""
    return {seed: run.values[place] for seed, run in trial.runs.items() if len(run.values) > place}


def trial_seconds(trial: TrialRecord) -> float:
    """How long it ran, pauses between drivers left out; NaN for a trial that has not ended."""
    return math.nan if trial.started is None or trial.ended is None else trial.worked_s


def _columns(names: Sequence[str], keys: Sequence[str], seeds: Sequence[int]) -> Iterator[str]:
    yield from ("number", "state", *names, *keys)
    if len(seeds) > 1:
        for name in names:
            yield from (f"{name}_std", *(f"{name}_seed{seed}" for seed in seeds))
    yield from ("epochs", "seconds", "run_ids", "origin", "reason")


def _row(trial: TrialRecord, names: Sequence[str], keys: Sequence[str], seeds: Sequence[int]) -> list[Any]:
    row: list[Any] = [trial.number, trial.state]
    row += [trial.values[place] if place < len(trial.values) else math.nan for place in range(len(names))]
    row += [trial.params.get(key, math.nan) for key in keys]
    if len(seeds) > 1:
        for place in range(len(names)):
            by_seed = seed_values(trial, place)
            row += [deviation(list(by_seed.values())), *(by_seed.get(seed, math.nan) for seed in seeds)]
    run_ids = " ".join(run.run_id for run in trial.runs.values() if run.run_id)
    epochs = sum(run.epochs for run in trial.runs.values())
    return [*row, epochs, trial_seconds(trial), run_ids, trial.origin, trial.reason]
