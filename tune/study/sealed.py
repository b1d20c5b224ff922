"""The sealed test split: the winner of a search, or every variant of a comparison, is scored on it once, at the end.

Trials' processes do so when the last trial has ended, see ``tune.study.engine``; what they do not, this process does.
"""

from __future__ import annotations

from collections.abc import Callable

from tune.report.ranking import untested
from tune.search.settings import SweepSettings
from tune.study.folder import StudyFolder
from tune.study.scoring import last_checkpoint, score_checkpoint
from tune.study.session import Session


def scored_by_trials(settings: SweepSettings, workers: int) -> bool:
    """Whether a process of the trials scores: those of Ray Train have no models, and a population keeps them all busy.

    Args:
        settings: of the study.
        workers: Ray Train workers of a trial; 0 for trials in their own process.
    """
    return workers == 0 and settings.scheduler != "pbt"


def waiting_to_be_scored(folder: StudyFolder, note: Callable[[str], None]) -> list[tuple[int, int]]:
    """(trial, seed) of what ``sweep.test`` names and has not been scored; all trials have ended.

    Args:
        folder: the study.
        note: hears when there is more than a winner to score.
    """
    waiting = untested(folder)
    if folder.definition.sweep.test == "all" and waiting:
        note(f"scoring {len(waiting)} trained models on the test split, each once")
    return waiting


def score_sealed(session: Session, note: Callable[[str], None]) -> None:
    """Score on test what ``sweep.test`` names, each training once in the study's life.

    Args:
        session: the driver's work on the study; all trials have ended.
        note: hears when there is more than a winner to score.
    """
    for number, seed in waiting_to_be_scored(session.folder, note):
        checkpoint = last_checkpoint(session.folder.fetched(number, seed))
        report = score_checkpoint(checkpoint, session.folder.definition.base.data.shards)
        session.tested(number, seed, report.scores)
