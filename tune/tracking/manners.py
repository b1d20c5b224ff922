"""How MLflow behaves while we call it: short requests, no retries of its own, nothing on the terminal.

MLflow reads its settings from the environment at every request and retries a lost server for minutes. Around our own
calls the environment says otherwise; a value that the user has set stands. Outside them nothing is changed, so that a
notebook's own use of MLflow is left alone.

Only Python sees these changes, and MLflow reads nothing else. The C library's environment must not change while other
threads run: Ray's read it whenever they like, and a variable that moves away under ``getenv`` ends the process.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

REQUEST_TIMEOUT_S = 20
"""Longest wait for a server's next byte."""

_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(REQUEST_TIMEOUT_S),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
}


class _Depth:
    """How many threads are inside ``manners``, and what the first of them changed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.set_by_us: list[str] = []
        self.log_level = logging.NOTSET


_depth = _Depth()


@contextmanager
def manners() -> Iterator[Any]:
    """Keep MLflow brief and silent inside the ``with``, which yields the ``mlflow`` module.

    May be nested and entered from several threads. The first use in a process imports MLflow, which takes two seconds.
    """
    with _depth.lock:
        if _depth.inside == 0:
            _enter()
        _depth.inside += 1
    try:
        yield sys.modules["mlflow"]
    finally:
        with _depth.lock:
            _depth.inside -= 1
            if _depth.inside == 0:
                _leave()


def _enter() -> None:
    _depth.set_by_us = [name for name in _SETTINGS if name not in os.environ]
    _variables().update({os.fsencode(name): os.fsencode(_SETTINGS[name]) for name in _depth.set_by_us})
    import mlflow  # noqa: F401, PLC0415 - slow, and sets its loggers' levels: here, and before ours

    logger = logging.getLogger("mlflow")
    _depth.log_level = logger.level
    logger.setLevel(logging.CRITICAL)  # whatever goes wrong is raised as well


def _leave() -> None:
    for name in _depth.set_by_us:
        _variables().pop(os.fsencode(name), None)
    logging.getLogger("mlflow").setLevel(_depth.log_level)


def _variables() -> dict[bytes, bytes]:
    """What Python knows of the environment; a change here is not passed on to the C library."""
    found: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    return found
