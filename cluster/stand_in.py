"""Stands in for the agents of a Ray that needs none of them, or only one and not yet.

Ray's raylet starts two agents, waits until they have said on which ports they serve what, and ends with them. The agent
of a Ray that was installed without the dashboard's packages says that it serves nothing, and takes 1.4 s of processor
time to come to it and another second a minute. This says the same at once, and ends when the raylet does:

    python stand_in.py --session-dir DIR --node-id ID [what else an agent is told]

The other agent makes the environments of workers that have one of their own, and takes 1.2 s to start. This says at
once that it listens, and becomes that agent when somebody calls:

    python stand_in.py --on-call COMMAND...

It imports nothing of Ray, which would take most of that time.
"""

import argparse
import os
import select
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PORTS = ("dashboard_agent_listen_port", "metrics_agent_port", "metrics_export_port")
"""Names of the ports that the raylet waits for; ``ray._raylet`` has them in ``persist_port``'s files."""
ON_CALL_PORT = "runtime_env_agent_port"
"""That of the other agent."""
NOT_SERVED = "-1"
LOOK_S = 1.0
START_S, LOOK_START_S = 60.0, 0.02
_PIECE = 1 << 16


def main() -> None:
    """Say that nothing is served, and wait for the raylet's end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--session-dir", type=Path, required=True)
    parser.add_argument("--node-id", required=True)
    asked, _ = parser.parse_known_args()
    raylet = os.getppid()
    for name in PORTS:
        _say(asked.session_dir / f"{name}_{asked.node_id}", NOT_SERVED)
    while os.getppid() == raylet:
        time.sleep(LOOK_S)


def on_call(command: Sequence[str]) -> None:
    """Say where an agent listens, and become it when somebody connects; or end with the raylet.

    Args:
        command: the agent's, with its options as ``--name=value``.
    """
    options = dict(word.partition("=")[::2] for word in command)
    host, file = options["--node-ip-address"], f"{ON_CALL_PORT}_{options['--node-id']}"
    raylet = os.getppid()
    listening = socket.create_server((host, 0))
    _say(Path(options["--session-dir"]) / file, str(listening.getsockname()[1]))
    while not select.select([listening], [], [], LOOK_S)[0]:
        if os.getppid() != raylet:
            return
    # The agent listens elsewhere, and says so in a folder of its own; a child passes on what comes here.
    folder = tempfile.mkdtemp(prefix="dclf-agent-")
    if os.fork():
        words = [f"--session-dir={folder}" if word.startswith("--session-dir=") else word for word in command]
        os.execv(words[0], words)  # noqa: S606 - Ray's own command
    _pass_on(listening, host, Path(folder) / file)


def _pass_on(listening: socket.socket, host: str, said: Path) -> None:
    """Pass connections on to the agent, the parent of this process, for as long as it lives."""
    agent, end = os.getppid(), time.monotonic() + START_S
    while not said.exists() and os.getppid() == agent and time.monotonic() < end:
        time.sleep(LOOK_START_S)
    if said.exists():
        port = int(said.read_text(encoding="ascii"))
        said.unlink()
        while os.getppid() == agent:
            if select.select([listening], [], [], LOOK_S)[0]:
                near, far = listening.accept()[0], socket.create_connection((host, port))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()
    said.parent.rmdir()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _say(place: Path, port: str) -> None:
    unfinished = place.with_name(f".{place.name}")
    unfinished.write_text(port, encoding="ascii")
    unfinished.replace(place)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--on-call"]:
        on_call(sys.argv[2:])
    else:
        main()
