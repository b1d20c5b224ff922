"""A driver's work on a study at a URI: it alone, with what it writes uploaded behind its back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.storage import StorageError
from dclf.data.storage import trouble_with
from tune.study.claims import RENEWED_S, Claims
from tune.study.locks import HeldElsewhereError, holding, taken_over
from tune.study.mirror import Mirror
from tune.study.training_files import patiently

_log = logging.getLogger(__name__)

LINGER_S = 0.5
"""How long what was written waits for more before it is uploaded."""
CLOSING_S = 60.0
"""How long the end of a driver's work waits for a store that does not answer."""


@contextmanager
def driving(mirror: Mirror, holder: str, lost: Callable[[Exception], None]) -> Iterator[None]:
    """Be the study's only driver on any machine; what it writes is uploaded within about a second.

    Args:
        mirror: the study, which is brought up to date.
        holder: this driver in words.
        lost: hears when another driver has taken the study over.

    Raises:
        HeldElsewhereError: another driver works on it.
        StorageError: what the block wrote could not be uploaded.
        OSError: the store does not answer.
    """
    claims = Claims(mirror.remote.below("claims"), holder)
    with holding(claims):
        _begin(mirror, claims)
        with mirror.trials_run(), _Uploads(mirror, claims, lost):
            yield


def _begin(mirror: Mirror, claims: Claims) -> None:
    mirror.pull()
    if not claims.follow(mirror.log.turn):
        raise HeldElsewhereError("was taken over by another driver while its records were fetched; try again")
    mirror.log.begin(claims.turn)


class _Uploads:
    """Uploads what is written, and renews the claim, while the block runs."""

    def __init__(self, mirror: Mirror, claims: Claims, lost: Callable[[Exception], None]) -> None:
        self._mirror = mirror
        self._claims = claims
        self._lost = lost
        self._away = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="dclf-uploads")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._over.set()
        self._thread.join()
        if not self._claims.held:
            return
        try:
            patiently(self._mirror.remote.address, self._finish, patience=CLOSING_S, tell=_log.warning)
        except StorageError as trouble:
            unsent = self._mirror.log.unsent
            text = (
                f"{trouble}; {unsent} bytes of the study's records are on this machine only, in {self._mirror.local}: "
                "dclf resume or dclf doctor --fix uploads them from here"
            )
            if error is None:
                raise StorageError(text) from trouble
            _log.warning(text)

    def _finish(self) -> None:
        self._mirror.log.push()
        self._mirror.push_files()

    def _serve(self) -> None:
        renew = time.monotonic() + RENEWED_S
        while self._claims.held and not self._over.wait(LINGER_S):
            try:
                if time.monotonic() >= renew:
                    self._renew()
                    renew = time.monotonic() + RENEWED_S
                if self._claims.held:
                    self._mirror.log.push()
                    self._answers()
            except Exception as error:  # noqa: BLE001 - stores that fsspec opens raise errors of their own
                self._does_not_answer(error)

    def _renew(self) -> None:
        if not self._claims.renew():
            self._lost(HeldElsewhereError(f"study {self._mirror.local.name!r} {taken_over()}"))

    def _answers(self) -> None:
        if self._away:
            self._away = False
            _log.info(f"{self._mirror.remote.address} answers again; all is uploaded")

    def _does_not_answer(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            _log.warning(
                f"{self._mirror.remote.address}: {trouble_with(error)}; trials wait, what is recorded is kept on this "
                "machine and uploaded as soon as the store answers"
            )
