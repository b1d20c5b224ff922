"""What the end of a study needs, made ready while its last trials run.

The report takes matplotlib, and scoring takes torch where no process of the trials does it: seconds of importing each.
While the last trials run, slots fall idle one after the other, and so does the driver.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from importlib import import_module

from dclf.data.storage import is_remote
from tune.report.comparison.variants import is_comparison
from tune.report.parts import ReportFiles
from tune.report.writer import ReportWriter
from tune.study.folder import StudyFolder

_FOR_SCORING = ("dclf.inference", "dclf.training.evaluation")


class Preparation:
    """Makes the end of a study ready.

    Args:
        folder: the study.
        scores: this process scores on the test split.
    """

    def __init__(self, folder: StudyFolder, *, scores: bool) -> None:
        self._scores = scores
        # What is written of a study at a URI names the URI, which only this process knows; and a process that has
        # written a report before is as fast by itself.
        here = is_remote(folder.storage) or "tune.report.files" in sys.modules
        self._writer = None if here else ReportWriter(folder.path)
        self._begun = False
        # A comparison's figures show the test split.
        self._draws_first = not is_comparison(folder.definition)

    def begin(self) -> None:
        """The last trial has begun; returns at once, and may be called again."""
        if self._begun:
            return
        self._begun = True
        if self._writer is not None:
            self._writer.start()
        if self._scores:
            threading.Thread(target=_import, daemon=True, name="dclf-preparation").start()

    def ended(self) -> None:
        """All trials have ended; returns at once, and may be called again."""
        if self._writer is not None and self._draws_first:
            self._writer.draw()
            self._draws_first = False

    def report(self) -> ReportFiles | None:
        """Write the report; None where that is left to the caller."""
        return None if self._writer is None else self._writer.write()

    def close(self) -> None:
        """Leave nothing running."""
        if self._writer is not None:
            self._writer.close()


def _import() -> None:
    for name in _FOR_SCORING:
        # Whoever needs the module hears of what is wrong with it.
        with suppress(Exception):
            import_module(name)
