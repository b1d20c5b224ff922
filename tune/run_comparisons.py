"""Runs compared with each other: what ``dclf compare`` does, for notebooks too.

>>> from tune.run_comparisons import compare
>>> compare(["3f2a91c0", "8e6d83f3"])  # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dclf.data import read_shards
from dclf.errors import require_names
from tune.analysis.run_comparison import (
    Side,
    difference_table,
    differences,
    paired_table,
    score_table,
    score_tests,
    sides_of,
)
from tune.analysis.table import ShownAsTable, Table
from tune.analysis.utterance_changes import Changes, Key, LabelledUtterance, changes
from tune.config.defaults import ID_SHOWN
from tune.config.sweep_settings import SweepSettings
from tune.config.yaml_files import ConfigError
from tune.predictions import RunModel, load_run, predict_source
from tune.tracking.children import STUDY_TAG, TRIAL_TAG, tagged
from tune.tracking.find import find_run, trial_of
from tune.tracking.manners import mlflow_settings
from tune.tracking.run_entries import RunEntry, best_scores, read_training, trainings
from tune.tracking.store import resolve_tracking_uri
from tune.tracking.trouble import UnknownRunError

_PREDICTING = (ValueError, OSError, RuntimeError)
"""What loading a model and predicting with it raise: no model, no shards, weights of another version."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RunComparison(ShownAsTable):
    """What differs between runs.

    Attributes:
        sides: what is compared, the first one the reference.
        changes: utterances that are predicted differently; None where that was not asked for or cannot be told.
        why: why it cannot be told, a sentence for each reason.
    """

    sides: tuple[Side, ...]
    changes: Changes | None = None
    why: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """A, B and so on."""
        return tuple(side.label for side in self.sides)

    def summary(self) -> Table:
        """The scores, and which side is which."""
        table = score_table(self.sides)
        names = [f"{side.label}: {side.first.name} ({side.first.run_id[:ID_SHOWN]})" for side in self.sides]
        return replace(table, note="\n".join(line for line in (*names, table.note) if line))

    def tables(self) -> list[Table]:
        """What differs in configuration, scores, and of sides with several seeds the paired tests."""
        tests = [paired_table(side, self.sides) for side in self.sides[1:]]
        return [difference_table(self.sides), score_table(self.sides), *(table for table in tests if table is not None)]

    def to_dict(self, utterances: int | None = None) -> dict[str, Any]:
        """As JSON has it: scores and differences in [0, 1], None for what is not known.

        Args:
            utterances: how many of those that changed, at most; all where None.
        """
        labels = self.labels
        return {
            "sides": [_side(side) for side in self.sides],
            "differences": {key: dict(zip(labels, values, strict=True)) for key, values in self._differences()},
            "paired": [fact for side in self.sides[1:] for fact in _tests(side, self.sides)],
            "changes": None if self.changes is None else _changes(self.changes, labels, utterances),
            "not_told": list(self.why),
        }

    def _differences(self) -> list[tuple[str, tuple[str, ...]]]:
        return list(differences(self.sides).items())


@mlflow_settings()
def compare(
    runs: Sequence[str],
    *,
    split: str = "val",
    utterances: bool = True,
    uri: str = "",
    storage: str | Path = SweepSettings.storage,
    shards: str | None = None,
) -> RunComparison:
    """Compare runs: their configurations, scores, and what their models say of every utterance.

    Runs that differ in their seed alone are one side, where there are others to compare them with; sides are then
    paired by seed, and no utterances are compared.

    Args:
        runs: two or more: a run's id, the beginning of one, or name; ``STUDY/TRIAL`` for all trainings of a trial.
        split: whose utterances are predicted: ``val``, or ``test``, which is sealed while anything is still chosen.
        utterances: whether they are.
        uri: MLflow tracking URI; as ``track.uri`` where empty.
        storage: folder of studies, or a URI of one, for the models of a study's trainings.
        shards: to predict; those of each run where None.

    Raises:
        ConfigError: fewer than two runs, one twice, or one that is a study.
        UnknownRunError: no run or several of them match.
        TrackingError: the store does not answer.
    """
    require_names(runs=runs)
    store = resolve_tracking_uri(uri)
    entries = _entries(store, runs)
    sides = tuple(
        replace(side, scores={seed: best_scores(store, run) for seed, run in side.runs.items()})
        for side in sides_of(entries)
    )
    comparison = RunComparison(sides=sides)
    if not utterances:
        return comparison
    if any(len(side.runs) > 1 for side in sides):
        return replace(comparison, why=("several runs on a side; name one of each to see the utterances that changed",))
    return _with_changes(comparison, store, split, storage, shards)


def _entries(uri: str, refs: Sequence[str]) -> list[RunEntry]:
    """The runs that are named, each once."""
    entries: dict[str, RunEntry] = {}
    problems = []
    for ref in refs:
        for run in _runs_of(uri, ref):
            if not run.is_training:
                trial = f"{run.name}/0"
                problems.append(
                    f"{ref}: must be a run, is a study; name a trial of it as {trial} (dclf show {run.name})"
                )
            elif run.run_id in entries:
                problems.append(f"{ref}: must be another run, is given twice ({run.run_id})")
            entries[run.run_id] = run
    if not problems and len(entries) < 2:
        problems = [f"runs: must be two or more to compare, is {len(entries)}"]
    if problems:
        raise ConfigError(problems)
    return list(entries.values())


def _runs_of(uri: str, ref: str) -> list[RunEntry]:
    """The run of that name, or the trainings of ``STUDY/TRIAL``."""
    if (parts := trial_of(ref)) is not None:
        study, trial = parts
        runs = list(trainings(uri, tagged({STUDY_TAG: study, TRIAL_TAG: trial})))
        if runs:
            return runs[::-1]
        if any(trainings(uri, tagged({STUDY_TAG: study}))):
            raise UnknownRunError(f"study {study} has no trial {trial}; dclf runs --study {study} lists its trainings")
    return [read_training(uri, ref)]


def _with_changes(
    comparison: RunComparison, uri: str, split: str, storage: str | Path, shards: str | None
) -> RunComparison:
    """With the utterances that changed, where every run has a model that can be asked."""
    predictions: list[dict[Key, str]] = []
    utterances: dict[Key, LabelledUtterance] = {}
    why = []
    for side in comparison.sides:
        try:
            model = load_run(side.first.run_id, uri=uri, storage=storage)
            place = shards or _shards(uri, side.first, model)
            predictions.append(_emotions(model, place, split))
            utterances = utterances or _labelled(place, split)
        except _PREDICTING as error:
            why.append(f"{side.label} cannot be asked: {str(error) or type(error).__name__}")
    if why:
        return replace(comparison, why=tuple(why))
    result = changes(split, utterances, predictions)
    if not result.total:
        return replace(comparison, why=(f"the runs share no labelled utterance of {split}",))
    return replace(comparison, changes=result)


def _shards(uri: str, run: RunEntry, model: RunModel) -> str:
    """The shards that a run was trained on, where they lie now."""
    place = model.predictor.config.data.shards
    return place if run.study else find_run(uri, run.run_id).here(place)


def _emotions(model: RunModel, shards: str, split: str) -> dict[Key, str]:
    """What a model says of every utterance of a split."""
    conversations = predict_source(model, shards, split=split).conversations
    return {(one.id, place): row.emotion for one in conversations for place, row in enumerate(one.utterances)}


def _labelled(shards: str, split: str) -> dict[Key, LabelledUtterance]:
    """The utterances of a split whose emotion is known, without their features."""
    read = read_shards(shards, split=split, modalities=())
    return {
        (dialogue.dialogue_id, place): LabelledUtterance(
            speaker=str(speaker), text=words, target=read.info.class_names[label]
        )
        for dialogue in read
        for place, (speaker, words, label) in enumerate(
            zip(dialogue.speakers, dialogue.utterances or [""] * len(dialogue), dialogue.labels, strict=True)
        )
        if label >= 0
    }


def _side(side: Side) -> dict[str, Any]:
    runs = [
        {"run_id": run.run_id, "name": run.name, "status": run.status, "seed": seed, "scores": dict(side.scores[seed])}
        for seed, run in side.runs.items()
    ]
    return {"label": side.label, "runs": runs}


def _tests(side: Side, sides: Sequence[Side]) -> list[dict[str, Any]]:
    return [
        {
            "side": side.label,
            "against": sides[0].label,
            "score": one.score,
            "seeds": one.test.count,
            "difference": one.test.difference,
            "low": _without_nan(one.test.low),
            "high": _without_nan(one.test.high),
            "p_holm": _without_nan(one.p),
        }
        for one in score_tests(side, sides)
    ]


def _changes(result: Changes, labels: Sequence[str], longest: int | None) -> Mapping[str, Any]:
    return {
        "split": result.split,
        "utterances": result.total,
        "changed": len(result.utterances),
        "right": dict(zip(labels, result.right, strict=True)),
        "shown": [one.to_dict(labels) for one in result.utterances[:longest]],
    }


def _without_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
