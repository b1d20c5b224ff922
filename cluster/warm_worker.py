"""Becomes one of Ray's worker processes as a copy of the warm process, see ``cluster.warm``; run by the raylet.

    python warm_worker.py SOCKET COMMAND...

COMMAND is what the raylet would run otherwise, and what this becomes where a copy does not do: for workers with an
environment of their own, and where no warm process answers. It imports nothing of Ray, which is what the copy saves.
"""

import json
import os
import socket
import sys
from pathlib import Path

SETUP, FOR_SETUP = "/setup_worker.py", "--language="
"""End of Ray's program that makes a worker's own environment before the worker, and what only that program is told."""
OWN_ENVIRONMENT = "--serialized-runtime-env-context="
_LONGEST_ANSWER = 32
WAIT_S = 30.0
"""Importing takes a few seconds; Ray gives a worker up after a minute."""


def main(place: str, command: list[str]) -> None:
    """Have a copy run the command, or run it."""
    interpreter, *words = command
    script = [word for word in words if not word.endswith(SETUP) and not word.startswith(FOR_SETUP)]
    own = any(word.startswith(OWN_ENVIRONMENT) for word in words)
    if own or copied(place, script, dict(os.environ), str(Path.cwd()), [0, 1, 2]) is None:
        os.execv(interpreter, command)  # noqa: S606 - Ray's own command


def copied(place: str, script: list[str], environment: dict[str, str], folder: str, files: list[int]) -> int | None:
    """Ask for a copy that runs a Python script, or ``-m`` and a module, with its arguments.

    Args:
        place: the socket.
        script: what it runs.
        environment: of the copy.
        folder: it works in.
        files: file descriptors of its standard files.

    Returns:
        Process id of the copy; None where there is none.
    """
    asked = json.dumps({"script": script, "environment": environment, "folder": folder})
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_S)
            connection.connect(place)
            socket.send_fds(connection, [asked.encode() + b"\n"], files)
            return int(connection.recv(_LONGEST_ANSWER) or 0) or None
    except OSError:
        return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
