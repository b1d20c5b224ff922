import pytest
import requests
from mlflow.exceptions import MlflowException, RestException
from mlflow.utils.rest_utils import verify_rest_response

from tune.tracking.trouble import TrackingError, cause_of, explained, may_pass


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


def plain_answer(status: int) -> MlflowException:
    """What MLflow makes of a server's answer that is not JSON."""
    response = requests.Response()
    response.status_code = status
    response._content = b"<html>no</html>"
    with pytest.raises(MlflowException) as error:
        verify_rest_response(response, "/api/2.0/mlflow/logged-models")
    return error.value


@pytest.mark.parametrize(
    "error",
    [
        RestException({"error_code": "TEMPORARILY_UNAVAILABLE"}),
        RestException({"error_code": "UNAUTHENTICATED"}),
        RestException({"error_code": "REQUEST_LIMIT_EXCEEDED"}),
        MlflowException("API request failed with exception"),
        plain_answer(401),
        plain_answer(502),
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
        RestException({"error_code": "FEATURE_DISABLED"}),
        plain_answer(404),
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


@pytest.mark.parametrize(
    "error", [plain_answer(401), plain_answer(403), RestException({"error_code": "UNAUTHENTICATED"})]
)
def test_a_server_that_refuses_access_names_the_credentials(error: MlflowException) -> None:
    pattern = r"^MLflow at http://host must take this user's requests"
    with pytest.raises(TrackingError, match=pattern) as refusal, explained("http://me:geheim@host"):
        raise error
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        assert name in str(refusal.value)
