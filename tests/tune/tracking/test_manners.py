"""How MLflow behaves while we call it."""

import ctypes
import os

import pytest

from tune.tracking.manners import REQUEST_TIMEOUT_S, manners

NAME, SET = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def in_c(name: str) -> bytes | None:
    """What the C library's environment has, which other threads read without a lock."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    found: bytes | None = getenv(name.encode())
    return found


def test_mlflow_reads_our_settings_inside_and_the_c_library_never_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setenv(SET, "3")
    before = dict(os.environ)
    with manners() as mlflow, manners():
        assert mlflow.environment_variables.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == REQUEST_TIMEOUT_S
        assert mlflow.environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 3, "what the user has set stands"
        assert in_c(NAME) is None
        assert in_c(SET) == b"3"
    assert dict(os.environ) == before
