"""The configuration of the best trial, ready to be trained."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from dclf.config import Config
from tune.config.yaml_files import plain
from tune.study.folder import StudyFolder
from tune.study.ledger import TrialRecord
from tune.study.places import StudyError
from tune.study.ranking import best_trial, pick_rule
from tune.study.scores import Score, scores_of


def best_config(folder: StudyFolder) -> Config:
    """The base configuration with the best trial's values.

    Raises:
        StudyError: no trial is complete yet.
    """
    return trial_config(folder.definition.config, _best(folder).params)


def best_yaml(folder: StudyFolder) -> str:
    """The best configuration as a YAML file for ``dclf train``; its first lines say where it comes from.

    Raises:
        StudyError: no trial is complete yet.
    """
    trial, name = _best(folder), folder.definition.name
    scores = scores_of(folder.definition)
    values = ", ".join(f"{score.unit_label} {_text(score, trial, place)}" for place, score in enumerate(scores))
    head = f"# Best configuration of study {name}: trial {trial.number}, {values}.\n"
    if rule := pick_rule(scores):
        head += f"# Picked: {rule}.\n"
    return head + yaml.safe_dump(plain(best_config(folder).to_dict()), sort_keys=False, width=110)


def trial_config(sections: Mapping[str, Any], params: Mapping[str, Any]) -> Config:
    """A base configuration, as nested dictionaries, with a trial's values at their dotted keys.

    As ``tune.config.overrides.apply``, for values that a trial has had already: nothing is checked, so that a report
    need not wait for torch and the base models.
    """
    changed: dict[str, Any] = deepcopy(plain(sections))
    for key, value in params.items():
        # What stands behind the second dot is one name: that of a package's loss term may have dots.
        *path, name = key.split(".", 2)
        inner = changed
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return Config.from_dict(changed)


def _text(score: Score, trial: TrialRecord, place: int) -> str:
    return score.text([run.values[place] for run in trial.runs.values() if run.values], trial.values[place])


def _best(folder: StudyFolder) -> TrialRecord:
    trial = best_trial(folder)
    if trial is None:
        raise StudyError(
            f"study {folder.definition.name!r} has no complete trial yet, so there is no best configuration; "
            f"go on with it: dclf resume {folder.definition.name}"
        )
    return trial
