"""A tiny process that outlives its driver and closes the run when the driver was killed outright.

Nothing in a process survives SIGKILL or the kernel's memory killer, so a run would stay RUNNING for ever. The guardian
holds the reading end of a pipe. When the driver closes its run it says so and the guardian leaves; when the pipe ends
without a word the driver is gone, and only then the guardian imports MLflow and marks the run KILLED.

The file runs as a script (``python -S -P guardian.py``) and imports next to nothing at first: it waits in about 9 MB.
"""

import json
import os
import select
import sys
import time

CLOSED = b"closed\n"
REASON = "killed: the driver process ended without closing the run"
PATIENCE_S = 300.0
_CHECK_PARENT_S = 5.0


def main() -> None:
    """Read the order, wait for the driver's end, close the run if nobody else did."""
    parent = os.getppid()
    order, _, rest = _read_order()
    if _driver_closed_run(rest, parent):
        return
    sys.path[:] = order["path"]
    os.environ.update(order["environment"])
    deadline = time.monotonic() + order["patience_s"]
    pause_s = 0.5
    while not _mark_killed(order) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 10.0)


def _read_order() -> tuple[dict, bytes, bytes]:  # type: ignore[type-arg] # typing would cost memory
    data = b""
    while b"\n" not in data:
        chunk = os.read(0, 65536)
        if not chunk:  # the driver died before it had a run to guard
            sys.exit(0)
        data += chunk
    line, newline, rest = data.partition(b"\n")
    return json.loads(line), newline, rest


def _driver_closed_run(data: bytes, parent: int) -> bool:
    """Wait for the word or the pipe's end; a forked child may hold the pipe open, so the parent is looked at too."""
    while CLOSED not in data:
        ready, _, _ = select.select([0], [], [], _CHECK_PARENT_S)
        if ready:
            chunk = os.read(0, 4096)
            if not chunk:
                return False
            data += chunk
        elif os.getppid() != parent:
            return False
    return True


def _mark_killed(order: dict) -> bool:  # type: ignore[type-arg]
    """Mark the run KILLED; return whether nothing is left to do."""
    from tune.tracking.ending import end_running  # noqa: PLC0415 - MLflow must not be imported while waiting

    try:
        end_running(order["uri"], order["experiment_id"], order["token"], REASON)
    except Exception:  # noqa: BLE001 - whatever it was, try again within bounds: there is nobody to tell
        return False
    return True


if __name__ == "__main__":
    main()
