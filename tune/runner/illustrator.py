"""Keeps a study's figures in MLflow fresh while it goes on, in a process of its own at the lowest priority.

Drawing takes seconds of processor time that belong to the trials; it gets a twentieth of the time at most. The process
reads the ledger as anybody may, and what it draws the driver's recorder sends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tune.study.events import Event, TrialChanged
from tune.study.folder import StudyFolder
from tune.study.ledger import ENDED

FIRST_S = 90.0
"""A study shorter than this gets its figures at the end."""
SHARE = 20.0
"""How many times longer than the last drawing the next one waits."""
LONGEST_S = 600.0
"""A drawing that takes longer is given up."""


class Illustrator:
    """Starts drawings and hands over what they made; a listener of a study's events.

    Args:
        study: folder of the study.
        out: folder for the drawings.
        ready: hears of a folder of fresh files.
    """

    def __init__(self, study: Path, out: Path, ready: Callable[[Path], None]) -> None:
        self._study = study
        self._out = out
        self._ready = ready
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._next = time.monotonic() + FIRST_S

    def __call__(self, event: Event) -> None:
        """Have a look whenever a trial has ended."""
        if isinstance(event, TrialChanged) and event.trial.state in ENDED:
            self._look()

    def _look(self) -> None:
        """Hand over a finished drawing, and start another one if it is time; returns at once."""
        now = time.monotonic()
        if self._child is not None:
            self._collect(now)
        elif now >= self._next:
            self._started, self._next = now, now + LONGEST_S
            with suppress(OSError):  # the system has no room for a process now: the study goes on without figures
                self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [sys.executable, "-W", "ignore", "-m", "tune.runner.illustrator", str(self._study), str(self._out)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )

    def close(self) -> None:
        """End a drawing under way."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _collect(self, now: float) -> None:
        assert self._child is not None
        took = now - self._started
        if self._child.poll() is None:
            if took > LONGEST_S:
                self.close()
            return
        if self._child.returncode == 0:
            self._ready(self._out)
        self._child = None
        self._next = now + SHARE * took


def main(study: str, out: str) -> None:
    """Draw one study's figures and table into a folder."""
    os.nice(19)
    # Imported here: the driver, which imports this module too, draws nothing.
    from tune.report.drawings import study_drawings  # noqa: PLC0415
    from tune.report.figure_files import figure_svg  # noqa: PLC0415
    from tune.runner.optuna_study import load_study  # noqa: PLC0415
    from tune.study.trial_table import trials_frame  # noqa: PLC0415

    path = Path(study)
    folder = StudyFolder.open(path.parent, path.name)
    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    trials_frame(folder).to_csv(target / "trials.csv", index=False)
    for name, drawing in study_drawings(folder, load_study(folder)).figures.items():
        (target / f"{name}.svg").write_text(figure_svg(drawing.figure, name), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
