"""Be the only process that works on a study or a run: by a lock of the system, by a claim where it lies at a URI."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from dclf.data.storage import Folder, absolute, is_remote
from dclf.errors import UserError
from tune.study.claims import LAPSES_S, RENEWED_S, Claims

_log = logging.getLogger(__name__)


class HeldElsewhereError(UserError, ValueError):
    """Another process works on the study or run, which the message leaves to be named; it says which process."""


def this_process() -> str:
    """This process in words, as locks name it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock of this machine, which a killed process does not.

    Raises:
        HeldElsewhereError: another process holds it.
    """
    with path.open("a+", encoding="utf-8") as file:
        if not _try_lock(file):
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise HeldElsewhereError(f"is being worked on by {holder}; wait for it or stop it")
        file.seek(0)
        file.truncate()
        file.write(this_process())
        file.flush()
        yield


def holder_of(path: Path) -> str:
    """The process that holds a lock of this machine, in words; empty where none does, or where nobody can say."""
    try:
        file = path.open(encoding="utf-8")
    except FileNotFoundError:
        return ""
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip() or "another process"
        except OSError:  # a file system without locks
            return ""
        return ""


@contextmanager
def holding(claims: Claims) -> Iterator[None]:
    """Claim what lies at a URI, for the length of the block.

    Raises:
        HeldElsewhereError: another process works on it.
    """
    for claim in claims.take():
        if not claims.held:
            raise HeldElsewhereError(
                f"is being worked on by {claim.holder}, which said so {claim.age:.0f} s ago; wait for it or stop it. "
                f"If its machine is lost, try again in {max(1.0, LAPSES_S - claim.age):.0f} s: its claim lapses"
            )
        _log.info(f"taken over from {claim.holder}, which was last heard of {claim.age:.0f} s ago")
    try:
        yield
    finally:
        with suppress(Exception):  # a claim that cannot be deleted lapses
            claims.release()


def taken_over() -> HeldElsewhereError:
    """The error of a process whose claim is gone."""
    return HeldElsewhereError(
        f"was taken over by another driver while this one could not be heard for {LAPSES_S:.0f} s; nothing more is "
        "written"
    )


@contextmanager
def only_driver(address: str) -> Iterator[Callable[[], None]]:
    """Be the only process that works on a run.

    Args:
        address: folder of the run, which is made where it is absent, or its URI.

    Yields:
        What raises HeldElsewhereError once another process has taken the run over, as may happen at a URI.

    Raises:
        HeldElsewhereError: another process works on it.
    """
    if is_remote(address):
        with _claimed(Claims(Folder.of(address).below("claims"), this_process())) as require_ours:
            yield require_ours
        return
    folder = Path(absolute(address))
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        yield lambda: None


@contextmanager
def _claimed(claims: Claims) -> Iterator[Callable[[], None]]:
    over = threading.Event()

    def renew() -> None:
        while claims.held and not over.wait(RENEWED_S):
            with suppress(Exception):  # stores that fsspec opens raise errors of their own; the next time may do
                claims.renew()

    def require_ours() -> None:
        if not claims.held:
            raise taken_over()

    thread = threading.Thread(target=renew, daemon=True, name="dclf-claim")
    with holding(claims):
        thread.start()
        try:
            yield require_ours
        finally:
            over.set()
            thread.join()


def _try_lock(file: TextIO) -> bool:
    """Try to take the lock, several times: who only asks whether it is held holds it for a moment."""
    for pause in (0.05, 0.1, 0.2, 0.0):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        except OSError as error:
            _log.warning(
                f"{file.name}: nothing keeps a second process from working here, as there are no locks ({error})"
            )
            return True
        else:
            return True
    return False
