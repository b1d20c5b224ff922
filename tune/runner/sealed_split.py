"""The sealed test split, scored once, at the end: the winner of a search, or every variant of a comparison.

Beside the winner the base configuration is scored, so that the gain of the search is known on test as well. Nothing is
chosen by either score.
"""

from __future__ import annotations

import logging
from pathlib import Path

from dclf.training.checkpoint import is_format_2
from tune.analysis.scoring import last_checkpoint, score_checkpoint
from tune.runner.session import Session
from tune.study.checkpoints import has_checkpoint
from tune.study.ranking import base_untested, untested

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
        _score(session, number, seed, session.folder.fetched(number, seed))
    for number, seed in base_untested(session.folder):
        place = session.folder.fetched(number, seed)
        # Earlier versions deleted it when better trials had come, or wrote another format.
        if has_checkpoint(place) and not is_format_2(place):
            _score(session, number, seed, place)


def _score(session: Session, number: int, seed: int, place: Path) -> None:
    report = score_checkpoint(last_checkpoint(place), session.folder.definition.base.data.shards)
    session.record_test(number, seed, report.scores, report.confusion)
