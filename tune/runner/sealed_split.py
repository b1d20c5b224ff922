"""The sealed test split: the winner of a search, or every variant of a comparison, is scored on it once, at the end."""

from __future__ import annotations

import logging

from tune.analysis.scoring import last_checkpoint, score_checkpoint
from tune.runner.session import Session
from tune.study.ranking import untested

_log = logging.getLogger(__name__)


def score_sealed(session: Session) -> None:
    """Score on test what ``sweep.test`` names, each training once in the study's life.

    Args:
        session: the driver's work on the study; all trials have ended.
    """
    waiting = untested(session.folder)
    if session.settings.test == "all" and waiting:
        _log.info(f"scoring {len(waiting)} trained models on the test split, each once")
    for number, seed in waiting:
        checkpoint = last_checkpoint(session.folder.fetched(number, seed))
        report = score_checkpoint(checkpoint, session.folder.definition.base.data.shards)
        session.tested(number, seed, report.scores)
