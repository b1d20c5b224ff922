"""Watch over a driver's runs from a process that outlives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tune.tracking import guardian


class Guardian:
    """A child process in a session of its own that marks our runs KILLED if this process dies without ``close``.

    Args:
        uri: of the store; travels through a pipe, not through the process list.
        experiment_id: experiment of the runs to watch over.
        token: value of the runs' ``DRIVER_TAG``.
        patience_s: how long the child tries to reach the store after our death.
    """

    def __init__(self, uri: str, experiment_id: str, token: str, patience_s: float = guardian.PATIENCE_S) -> None:
        order = {
            "uri": uri,
            "experiment_id": experiment_id,
            "token": token,
            "patience_s": patience_s,
            "path": [str(Path(__file__).parents[2]), *(str(Path(entry).absolute()) for entry in sys.path if entry)],
            "environment": {"OMP_NUM_THREADS": "1"},
        }
        self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-S", "-P", guardian.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._say(json.dumps(order).encode() + b"\n")

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    def close(self) -> None:
        """The run has been closed: the child leaves."""
        self._say(guardian.CLOSED)
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.wait()

    def _say(self, word: bytes) -> None:
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):  # the child was killed; the run is then closed by us alone
            os.write(self._child.stdin.fileno(), word)
