"""Writes the report of a study in a process beside the driver, which scores the winner meanwhile.

It imports while other work goes on, and reads the study as anybody may.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from tune.report.imported import FIRST_USED
from tune.report.parts import ReportFiles
from tune.study.folder import this_process

_MODULE = "tune.report.writer"
LONGEST_S = 600.0
"""A report that takes longer is given up, and the driver writes it."""
_DRAW, _WRITE = b"draw\n", b"write\n"


class ReportWriter:
    """The process that writes a study's report.

    Every call returns at once, but for ``write``. What goes wrong in the process is no error here: ``write`` then gives
    None, and who writes the report in another way hears of it.

    Args:
        study: folder of the study.
    """

    def __init__(self, study: Path) -> None:
        self._study = study
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to import what a report needs; nothing happens where that has begun."""
        if self._child is None:
            words = (str(self._study), this_process())
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", _MODULE, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def draw(self) -> None:
        """Begin with the figures: all trials have ended, and what is still to come changes no figure."""
        with suppress(OSError):
            self._say(_DRAW)

    def write(self) -> ReportFiles | None:
        """Write the report, and wait for it; None where that did not succeed, or nothing was started."""
        try:
            self._say(_WRITE)
            return ReportFiles.from_json(self._told(LONGEST_S))
        except (OSError, ValueError, KeyError):
            return None
        finally:
            self.close()

    def close(self) -> None:
        """End the process."""
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            assert stream is not None
            stream.close()
        self._child = None

    def _say(self, word: bytes) -> None:
        if self._child is not None:
            assert self._child.stdin is not None
            self._child.stdin.write(word)

    def _told(self, longest_s: float) -> str:
        """All that the process writes until it ends.

        Raises:
            TimeoutError: it goes on for longer.
        """
        if self._child is None:
            return ""
        assert self._child.stdout is not None
        told, end = b"", time.monotonic() + longest_s
        while select.select([self._child.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            part = self._child.stdout.read(1 << 16)
            if not part:
                return told.decode()
            told += part
        raise TimeoutError(f"the report is not written after {longest_s:g} s")


def main(study: str, driver: str) -> None:
    """Import, then do as the lines on stdin say; ends with them.

    Args:
        study: its folder.
        driver: the process that this one writes for.
    """
    warnings.simplefilter("ignore")
    # Ctrl-C is the driver's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Imported here: the driver, which imports this module too, leaves them to this process.
    from tune.report.files import Figures, draw_figures, load_templates, write_report  # noqa: PLC0415
    from tune.report.importance import leave_out_forests  # noqa: PLC0415
    from tune.report.progress import speak_for  # noqa: PLC0415
    from tune.study.folder import StudyFolder  # noqa: PLC0415
    from tune.study.optuna_state import load_study  # noqa: PLC0415

    speak_for(driver)
    leave_out_forests()
    load_templates()
    for name in FIRST_USED:
        # What is wrong with it shows where it is used.
        with suppress(Exception):
            import_module(name)
    path = Path(study)
    figures: Figures | None = None
    for line in sys.stdin:
        folder = StudyFolder.open(path.parent, path.name)
        known = load_study(folder)
        if line.encode() == _DRAW:
            figures = draw_figures(folder, known, beside=True)
        else:
            print(write_report(folder, known, figures=figures, beside=True).to_json(), flush=True)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
