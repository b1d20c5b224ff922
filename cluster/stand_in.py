"""Stands in for the agent of Ray's dashboard on a machine where nobody looks at one.

Ray's raylet starts an agent, waits until it has said on which ports it serves what, and ends with it. The agent of a
Ray that was installed without the dashboard's packages says that it serves nothing, and takes 1.4 s of processor time
to come to it and another second a minute. This says the same at once, and ends when the raylet does. It imports nothing
of Ray, which would take most of that time.

    python stand_in.py --session-dir DIR --node-id ID [what else an agent is told]
"""

import argparse
import os
import time
from pathlib import Path

PORTS = ("dashboard_agent_listen_port", "metrics_agent_port", "metrics_export_port")
"""Names of the ports that the raylet waits for; ``ray._raylet`` has them in ``persist_port``'s files."""
NOT_SERVED = "-1"
LOOK_S = 1.0


def main() -> None:
    """Say that nothing is served, and wait for the raylet's end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--session-dir", type=Path, required=True)
    parser.add_argument("--node-id", required=True)
    asked, _ = parser.parse_known_args()
    raylet = os.getppid()
    for name in PORTS:
        place = asked.session_dir / f"{name}_{asked.node_id}"
        unfinished = place.with_name(f".{place.name}")
        unfinished.write_text(NOT_SERVED, encoding="ascii")
        unfinished.replace(place)
    while os.getppid() == raylet:
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
