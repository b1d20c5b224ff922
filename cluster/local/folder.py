"""The folder of a local cluster, which one command at a time may change."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.local.state import ClusterError

LOCK = ".lock"


@contextmanager
def exclusive(folder: Path) -> Iterator[Path]:
    """Hold the folder, which is made where it is absent, for its owner alone.

    Raises:
        ClusterError: another command starts or ends the cluster at this moment, or the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise ClusterError(f"--folder: must be a folder that can be written to, is {folder} ({error})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError(
                f"{folder}: another `dclf cluster up` or `down` is at work there; wait until it has ended"
            ) from error
        yield folder
