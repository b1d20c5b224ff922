"""Writes the report of a study in a process beside the driver, which scores the winner meanwhile.

The process imports matplotlib while the last trials run and slots stand idle, so that the end of a study does not wait
for it. It reads the study as anybody may.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from cluster.importing import own_process, uncollected
from tune.report.parts import ReportFiles

LONGEST_S = 600.0
"""A report that takes longer is given up, and the driver writes it."""
_DRAW, _WRITE = "draw\n", "write\n"
_FIRST_USED = (
    "pandas",
    "scipy.sparse.linalg",
    "contourpy",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
)
"""What a report imports when it first uses it: a second, which then nothing else would fill."""


class ReportWriter:
    """The process that writes a study's report.

    Every call returns at once, but for ``write``. What goes wrong in the process is no error here: ``write`` then gives
    None, and who writes the report in another way hears of it.

    Args:
        study: folder of the study.
    """

    def __init__(self, study: Path) -> None:
        self._study = study
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin to import what a report needs; nothing happens where that has begun."""
        if self._child is None:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-W", "ignore", "-m", "tune.report.writer", str(self._study)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def draw(self) -> None:
        """Begin with the figures: all trials have ended, and what is still to come changes no figure."""
        if self._child is not None and self._child.stdin is not None:
            with suppress(OSError):
                self._child.stdin.write(_DRAW)
                self._child.stdin.flush()

    def write(self) -> ReportFiles | None:
        """Write the report, and wait for it; None where that did not succeed, or nothing was started."""
        if self._child is None:
            return None
        try:
            told, _ = self._child.communicate(_WRITE, timeout=LONGEST_S)
            return ReportFiles.from_json(told)
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
            return None
        finally:
            self.close()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for stream in (self._child.stdin, self._child.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            self._child = None


def main(study: str) -> None:
    """Import, then do as the lines on stdin say; ends with them."""
    # Ctrl-C is the driver's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own_process()
    # Imported here: the driver, which imports this module too, leaves them to this process.
    with uncollected():
        from tune.report.files import Figures, draw_figures, load_templates, write_report  # noqa: PLC0415
        from tune.report.importance import leave_out_forests  # noqa: PLC0415
        from tune.study.folder import StudyFolder  # noqa: PLC0415
        from tune.study.optuna_state import load_study  # noqa: PLC0415

        leave_out_forests()
        load_templates()
        for name in _FIRST_USED:
            # What is wrong with it shows where it is used.
            with suppress(Exception):
                import_module(name)
    path = Path(study)
    figures: Figures | None = None
    for line in sys.stdin:
        folder = StudyFolder.open(path.parent, path.name)
        known = load_study(folder)
        if line == _DRAW:
            figures = draw_figures(folder, known, beside=True)
        else:
            print(write_report(folder, known, figures=figures, beside=True).to_json(), flush=True)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
