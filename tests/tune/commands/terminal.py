"""A command at a terminal of its own, where Ctrl-C and answers can be typed."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.tune.runner.processes import CODE


class Terminal:
    """``dclf``, or other code, with a pseudo-terminal as its controlling one."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *words: str, code: str = CODE) -> None:
        self._mine, theirs = os.openpty()
        self.shown = ""
        command = ["setsid", "--ctty", sys.executable, "-c", code, *words]
        self._process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._mine, text.encode())

    def wait_for(self, words: str, limit_s: float = 120.0) -> None:
        """Until it has shown so; AssertionError where it ends or the time does."""
        end = time.monotonic() + limit_s
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self._mine], [], [], 0.1)[0]:
                self._read()

    def end(self, limit_s: float = 120.0) -> int:
        """Its exit code, when it has ended."""
        end = time.monotonic() + limit_s
        while self._process.poll() is None:
            assert time.monotonic() < end, self.shown
            if select.select([self._mine], [], [], 0.1)[0]:
                self._read()
        os.close(self._mine)
        return self._process.returncode

    def _read(self) -> None:
        try:
            self.shown += os.read(self._mine, 4096).decode(errors="replace")
        except OSError:  # Linux says so when the other end is closed
            self._process.wait(30)
