"""How MLflow behaves while we call it: short requests, no retries of its own, nothing on the terminal.

MLflow reads its settings from the environment at every request and retries a lost server for minutes. Around our own
calls the environment says otherwise; a value that the user has set stands. Outside them nothing is changed, so that a
notebook's own use of MLflow is left alone.

Only Python sees these changes, see ``cluster.variables``, and MLflow reads nothing else.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.variables import hide, show

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
    _depth.set_by_us = show(_SETTINGS)
    import mlflow  # noqa: F401, PLC0415 - slow, and sets its loggers' levels: here, and before ours

    logger = logging.getLogger("mlflow")
    _depth.log_level = logger.level
    logger.setLevel(logging.CRITICAL)  # whatever goes wrong is raised as well


def _leave() -> None:
    hide(_depth.set_by_us)
    logging.getLogger("mlflow").setLevel(_depth.log_level)
