"""What a study's folder lacks, and what lies in it without use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial

from dclf.prose import join_words
from tune.runner.finding import Finding
from tune.runner.tidy import kept_so_far, needed
from tune.study.checkpoints import has_checkpoint
from tune.study.folder import StudyFolder
from tune.study.history import HISTORY_FILE
from tune.study.ledger import ENDED
from tune.study.mirror import LEDGER, TRIALS

RAY_FOLDER = "ray-tune"
"""Where Ray Tune works while a driver does."""


def file_findings(folder: StudyFolder, *, alive: bool) -> Iterator[Finding]:
    """Missing checkpoints of the best trials, trials that the ledger does not know, and what a killed Ray left."""
    if not alive:
        yield from _unknown_trials(folder)
    for number in sorted(needed(folder, kept_so_far(folder))):
        for seed in folder.ledger.trials[number].runs:
            if not has_checkpoint(folder.checkpoint(number, seed)):
                yield _missing_checkpoint(folder, number, seed)
    ray_folder = folder.path / RAY_FOLDER
    if ray_folder.exists() and not alive:
        remedy, fix = "it is deleted", partial(shutil.rmtree, ray_folder)
        yield Finding(
            subject="the study", problem=f"Ray Tune's folder {ray_folder} was left behind", remedy=remedy, fix=fix
        )


def _unknown_trials(folder: StudyFolder) -> Iterator[Finding]:
    """A driver writes a trial to the ledger before it trains it: where the ledger lacks one, the ledger lost lines."""
    places = (folder.path / TRIALS).glob("*")
    numbers = sorted(int(place.name) for place in places if place.name.isdecimal())
    if unknown := [str(number) for number in numbers if number not in folder.ledger.trials]:
        yield Finding(
            subject="the study",
            problem=f"its ledger has no trial {join_words(unknown, 'or')}, of which {folder.path / TRIALS} has files",
            remedy=f"restore {LEDGER} from a copy; dclf resume does not know them without it",
        )


def restarts(folder: StudyFolder) -> Iterator[str]:
    """Unfinished trials that begin anew, in words: they trained, and their checkpoint is gone."""
    for trial in folder.ledger.trials.values():
        if trial.state in ENDED:
            continue
        for seed, run in trial.runs.items():
            place = folder.checkpoint(trial.number, seed)
            if not run.values and (place / HISTORY_FILE).exists() and not has_checkpoint(place):
                yield f"trial {trial.number}: the checkpoint of seed {seed} is gone; it starts from epoch 1 again"


def _missing_checkpoint(folder: StudyFolder, number: int, seed: int) -> Finding:
    name = folder.definition.name
    return Finding(
        subject=f"trial {number}",
        problem=f"is among the best, and its checkpoint {folder.checkpoint(number, seed)} is gone",
        remedy=f"restore it from a copy, or train its configuration again (dclf show {name})",
    )
