import pytest
import requests
from mlflow.exceptions import MlflowException, RestException

from tune.tracking.trouble import cause_of, may_pass


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


@pytest.mark.parametrize(
    "error",
    [
        RestException({"error_code": "TEMPORARILY_UNAVAILABLE"}),
        RestException({"error_code": "UNAUTHENTICATED"}),
        RestException({"error_code": "REQUEST_LIMIT_EXCEEDED"}),
        MlflowException("API request failed with exception"),
        http_error(503),
        http_error(429),
        requests.ConnectionError(),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_trouble_that_may_pass(error: Exception) -> None:
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        RestException({"error_code": "INVALID_PARAMETER_VALUE"}),
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST"}),
        http_error(400),
        http_error(413),
        FileNotFoundError(2, "No such file or directory"),
        ValueError(),
    ],
)
def test_trouble_that_stays(error: Exception) -> None:
    assert not may_pass(error)


def test_the_cause_is_the_root_in_one_line() -> None:
    outer = MlflowException("long story")
    outer.__context__ = ConnectionRefusedError(111, "Connection refused")
    assert cause_of(outer) == "Connection refused"
    outer.__context__ = requests.ReadTimeout("HTTPConnectionPool(host='h')")
    assert cause_of(outer) == "timed out"
    assert cause_of(ValueError("\nno http://me:geheim@host\nmore")) == "no http://host"
    assert cause_of(ValueError()) == "ValueError"
