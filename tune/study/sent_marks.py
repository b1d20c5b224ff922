"""How far MLflow has what the ledger says: notes that a driver leaves in it now and then, and at its end.

A kill loses what was on its way. What came before the last mark had arrived, so that resuming sends again only what
came after it.
"""

from __future__ import annotations

from tune.study.folder import StudyFolder
from tune.study.ledger import BEGIN_NOTE, ENDED, TrialRecord

SENT_NOTE = "sent"
"""Kind of the ledger's notes."""


def mark_sent(folder: StudyFolder, line: int, *, closed: bool = False) -> None:
    """Note that MLflow has all that the ledger says up to a line.

    Args:
        folder: the study, driven by this process.
        line: of the ledger, counted from 1.
        closed: the runs of trials that have not ended are marked KILLED, and nobody works on them.
    """
    folder.ledger.note(SENT_NOTE, line=line, closed=closed)


def sent_line(folder: StudyFolder) -> int:
    """Up to which line of the ledger MLflow has all; 0 before the first mark, and in ledgers of earlier versions."""
    return next((int(note["line"]) for note in reversed(folder.ledger.notes) if note["kind"] == SENT_NOTE), 0)


def unsent_trials(folder: StudyFolder) -> list[TrialRecord]:
    """Trials of which MLflow may lack something; those that were never begun are left out.

    The epochs of a trial that has not ended are no lines of the ledger: MLflow may lack some of it unless the last
    driver has closed its runs.
    """
    line, closed = sent_line(folder), _closed(folder)
    return [
        trial
        for trial in folder.ledger.trials.values()
        if (trial.line > line and trial.state in ENDED)
        or (trial.state not in ENDED and trial.started is not None and not closed)
    ]


def _closed(folder: StudyFolder) -> bool:
    """Whether the last driver came to its end, and no other has begun since."""
    notes = [note for note in folder.ledger.notes if note["kind"] in (SENT_NOTE, BEGIN_NOTE)]
    return bool(notes) and bool(notes[-1].get("closed"))
