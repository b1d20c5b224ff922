"""How MLflow behaves while we call it: short requests, no retries of its own, nothing on the terminal.

MLflow reads its settings from the environment at every request and retries a lost server for minutes. While a program
of ours runs, and while a function of ours does in a notebook, the environment says otherwise; a value that the user has
set stands. A notebook's own use of MLflow is left alone.

Ray's threads read the environment too, without a lock, and so do several of ours: whatever starts threads enters
``mlflow_settings`` before, and nothing is changed by what they call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.environment import environment

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
    """How many threads are inside ``manners``, and MLflow's log level before the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.log_level = logging.NOTSET


_depth = _Depth()


@contextmanager
def mlflow_settings() -> Iterator[None]:
    """Have MLflow's settings in the environment inside the ``with`` or the decorated function; imports nothing."""
    with environment(_SETTINGS):
        yield


@contextmanager
def manners() -> Iterator[Any]:
    """Keep MLflow brief and silent inside the ``with``, which yields the ``mlflow`` module.

    May be nested and entered from several threads. The first use in a process imports MLflow, which takes two seconds.
    """
    with mlflow_settings(), _silence():
        import mlflow  # noqa: PLC0415 - slow, and done by ``_silence``

        yield mlflow


@contextmanager
def _silence() -> Iterator[None]:
    with _depth.lock:
        if _depth.inside == 0:
            _enter()
        _depth.inside += 1
    try:
        yield
    finally:
        with _depth.lock:
            _depth.inside -= 1
            if _depth.inside == 0:
                logging.getLogger("mlflow").setLevel(_depth.log_level)


def _enter() -> None:
    import mlflow  # noqa: F401, PLC0415 - slow, and sets its loggers' levels: here, and before ours

    logger = logging.getLogger("mlflow")
    _depth.log_level = logger.level
    logger.setLevel(logging.CRITICAL)  # whatever goes wrong is raised as well
