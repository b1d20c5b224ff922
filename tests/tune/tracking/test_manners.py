"""How MLflow behaves while we call it."""

import os

import pytest

from tune.tracking.manners import REQUEST_TIMEOUT_S, manners, mlflow_settings

NAME, SET = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


@pytest.fixture(autouse=True)
def users(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of our settings the user has made, another one not."""
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setenv(SET, "3")


def test_mlflow_reads_our_settings_inside_and_the_users_outside() -> None:
    before = dict(os.environ)
    with manners() as mlflow, manners():
        assert mlflow.environment_variables.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == REQUEST_TIMEOUT_S
        assert mlflow.environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 3, "what the user has set stands"
    assert dict(os.environ) == before


def test_calls_of_mlflow_change_no_variable_while_a_function_of_ours_runs() -> None:
    # Ray's threads read the environment without a lock.
    before = dict(os.environ)

    @mlflow_settings()
    def work() -> dict[str, str]:
        inside = dict(os.environ)
        with manners():
            assert dict(os.environ) == inside
        assert dict(os.environ) == inside
        return inside

    for _ in range(2):
        inside = work()
        assert (inside[NAME], inside[SET]) == (str(REQUEST_TIMEOUT_S), "3")
        assert dict(os.environ) == before
