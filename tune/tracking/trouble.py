"""Which failures of a write may pass by themselves, and which never will."""

from __future__ import annotations

from typing import Any

from tune.tracking.manners import manners

_NEVER = frozenset(
    {
        "ALREADY_EXISTS",
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "NOT_FOUND",
        "NOT_IMPLEMENTED",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
    }
)
_PASSING_STATUS = frozenset({401, 403, 408, 425, 429})


def may_pass(error: BaseException) -> bool:
    """Whether sending the same write again can succeed.

    A server that is down, overloaded, locked, or refuses the credentials may change its mind; a request that it calls
    wrong, a local file that cannot be read or written, and an error of our own will not.
    """
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
