"""What goes wrong with a store: how it is told, and whether it may pass by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dclf.errors import UsageError, UserError
from tune.tracking.manners import manners
from tune.tracking.redact import without_secrets

_NEVER = frozenset(
    {
        "ALREADY_EXISTS",
        "BAD_REQUEST",
        "ENDPOINT_NOT_FOUND",  # what MLflow makes of a plain 404: the server is older than the request
        "FEATURE_DISABLED",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "NOT_FOUND",
        "NOT_IMPLEMENTED",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
    }
)
_NO_ACCESS = frozenset({"CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED", "UNAUTHENTICATED"})
_PASSING_STATUS = frozenset({401, 403, 408, 425, 429})


class TrackingError(UserError, OSError):
    """The tracking store cannot be used; the message names it, the cause and the remedy."""


class UnknownRunError(UsageError, TrackingError):
    """No run, or several, match what was asked for; the message lists those that come near."""


class UnknownExperimentError(UsageError, TrackingError):
    """The store has no experiment of that name; the message lists some."""


class NotResumableError(UsageError, TrackingError):
    """A run that has ended, or that a study has to go on with."""


def cause_of(error: BaseException) -> str:
    """Why it failed in one line, without passwords: the operating system's own words where they are at the root."""
    chain = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(deeper)
    root = chain[-1]
    if isinstance(root, OSError) and root.strerror:
        return without_secrets(root.strerror)
    if any("Timeout" in type(link).__name__ for link in chain):  # HTTP libraries have types of their own
        return "timed out"
    text = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return without_secrets(text)[:300]


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Raise whatever a store raises as a TrackingError without passwords in it."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # noqa: BLE001 - MLflow raises what its backends raise
        tell = _inaccessible if getattr(error, "error_code", "") in _NO_ACCESS else unreachable
        raise TrackingError(tell(uri, cause_of(error))) from None


def unreachable(uri: str, cause: str) -> str:
    """The message for a store that cannot be used, with what to do."""
    name = without_secrets(uri)
    if uri.startswith("sqlite"):
        return (
            f"MLflow store {name} cannot be opened ({cause}); check the path in track.uri, that it is writable and "
            "that there is free space"
        )
    return (
        f"MLflow at {name} cannot be used ({cause}); check track.uri or MLFLOW_TRACKING_URI, start the server, or "
        "take the local store with track.uri=sqlite:///dclf-runs/mlflow.db"
    )


def _inaccessible(uri: str, cause: str) -> str:
    """The message for a server that takes requests of others only, with what to do."""
    return (
        f"MLflow at {without_secrets(uri)} must take this user's requests, refuses them ({cause}); set "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to an account that may "
        "write there"
    )


def may_pass(error: BaseException) -> bool:
    """Whether sending the same write again can succeed.

    A server that is down, overloaded, locked, or refuses the credentials may change its mind; a request that it calls
    wrong, a local file that cannot be read or written, and an error of our own will not.
    """
    if isinstance(error, TrackingError) and error.__context__ is not None:
        return may_pass(error.__context__)
    with manners() as mlflow:
        if isinstance(error, mlflow.exceptions.MlflowException):
            return error.error_code not in _NEVER
    response = getattr(error, "response", None)
    if response is not None:
        return _status_may_pass(response)
    return isinstance(error, ConnectionError | TimeoutError) or _is_network_error(error)


def _status_may_pass(response: Any) -> bool:
    code = int(response.status_code)
    return code >= 500 or code in _PASSING_STATUS


def _is_network_error(error: BaseException) -> bool:
    """Errors of HTTP libraries without a response: nothing was reached."""
    return any(base.__module__.startswith(("requests", "urllib3", "botocore")) for base in type(error).__mro__)
