"""Deletes checkpoints that nobody needs any more, so that a study does not fill the disk.

Needed are those of trials that resuming goes on with, of the best complete trials, and of a search's base configuration
until it is scored on test. The epochs of every trial (``history.json``) stay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from tune.runner.evaluations import evaluated
from tune.study.checkpoints import delete_checkpoint, has_checkpoint
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED, TrialRecord
from tune.study.ranking import base_untested, pareto, top_trials, untested

_log = logging.getLogger(__name__)
KEPT_NOTE = "kept"
"""Kind of the ledger's notes that say how many of the best trials kept their checkpoints."""


def needed(folder: StudyFolder, keep: int) -> set[int]:
    """Ended trials whose checkpoints stay.

    The best ``keep`` by the first objective, the whole Pareto front, and those that the test split or another
    evaluation still waits for.
    """
    best = {trial.number for trial in top_trials(folder, keep)}
    several = len(folder.definition.sweep.objectives) > 1
    front = {trial.number for trial in pareto(folder)} if several else set()
    # The winner of a search, which is scored on test too, is the first of the best, or on the front.
    waiting = untested(folder) if folder.definition.sweep.test == "all" else []
    return best | front | {number for number, _ in waiting} | _still_measured(folder)


def spared(folder: StudyFolder, keep: int) -> set[int]:
    """Ended trials whose checkpoints nobody deletes: those needed, and the base configuration's before it is scored.

    The latter is no loss where it is gone, as after an earlier version.
    """
    return needed(folder, keep) | {number for number, _ in base_untested(folder)}


def _still_measured(folder: StudyFolder) -> set[int]:
    """All complete trials of a study file whose models are not all measured yet."""
    if evaluated(folder):
        return set()
    return {trial.number for trial in folder.ledger.trials.values() if trial.state == "complete"}


def kept_so_far(folder: StudyFolder) -> int:
    """How many of the best trials must still have checkpoints: the smallest number that anybody kept."""
    counts = [int(note["keep"]) for note in folder.ledger.notes if note["kind"] == KEPT_NOTE]
    return min([folder.definition.sweep.keep, *counts])


def superfluous(folder: StudyFolder, keep: int) -> Iterator[Path]:
    """Folders of trainings whose checkpoints nobody needs, of ended trials that have any on disk."""
    numbers = spared(folder, keep)
    for trial in folder.ledger.trials.values():
        if trial.state in ENDED and trial.number not in numbers:
            yield from (place for place in folder.trainings(trial.number) if has_checkpoint(place))


def tidy(folder: StudyFolder, keep: int) -> int:
    """Delete all superfluous checkpoints; the bytes freed.

    Raises:
        OSError: one cannot be deleted, or its epochs cannot be kept.
    """
    return sum(discard(folder, place) for place in list(superfluous(folder, keep)))


def discard(folder: StudyFolder, place: Path) -> int:
    """``delete_checkpoint``, wherever the study lies."""
    freed = delete_checkpoint(place)
    folder.dropped(place)
    return freed


class Tidier:
    """Keeps the disk tidy while a study goes on.

    Args:
        folder: the study, locked by this process.
        keep: as ``sweep.keep``.
    """

    def __init__(self, folder: StudyFolder, keep: int) -> None:
        self._folder = folder
        self._keep = keep
        # A population's trials start from one another's checkpoints.
        self._idle = folder.definition.sweep.scheduler == "pbt"
        complete = (trial.number for trial in folder.ledger.trials.values() if trial.state == "complete")
        self._keepers = set(complete)

    def ended(self, trial: TrialRecord) -> None:
        """Delete the ended trial's checkpoint, or that of the trial that it pushed out of the best ``keep``."""
        if self._idle:
            return
        self._keepers.add(trial.number)
        gone = self._keepers - spared(self._folder, self._keep)
        self._keepers -= gone
        self._delete(sorted(gone))

    def _delete(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            try:
                for place in self._folder.trainings(number):
                    discard(self._folder, place)
            except OSError as error:
                _log.warning(f"trial {number}: its checkpoint cannot be deleted ({error}); dclf gc will try again")
