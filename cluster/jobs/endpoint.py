"""Where a cluster's Jobs API is and what opens it, proven before anything is sent there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from cluster.environment import environment
from cluster.local.endpoints import fetch_json
from cluster.local.state import FOLDER, load_cluster
from cluster.proxies import without_proxy
from cluster.ray_token import TOKEN, TOKEN_PATH, home_token
from dclf.errors import UsageError, UserError

ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


class JobError(UserError, OSError):
    """A job cannot be submitted, found or followed; the message says what to do."""


class JobUsageError(UsageError, JobError):
    """A job cannot be as it was asked for."""


class ConnectionBrokenError(JobError):
    """A cluster that answered before cannot be reached at this moment."""


@dataclass(frozen=True)
class Endpoint:
    """A Jobs API.

    Attributes:
        url: of the dashboard.
        token: Ray's; empty where this user has none. Never shown.
        versions: what is known of the cluster without asking it: dclf, ray and python of a local one.
        local: whether it is a cluster of ``dclf cluster up``, whose jobs know MLflow's address and password.
    """

    url: str
    token: str = field(repr=False)
    versions: Mapping[str, str] = field(default_factory=dict)
    local: bool = False

    def get(self, path: str) -> Any:
        """Return what the dashboard answers, within a time limit.

        Raises:
            ConnectionBrokenError: nobody answers.
            JobError: the token is wrong, or no Ray dashboard answers.
        """
        try:
            return fetch_json(f"{self.url}{path}", bearer=self.token)
        except HTTPError as error:
            with error:
                raise self._refusal(error.code) from error
        except OSError as error:
            raise ConnectionBrokenError(
                f"--address: nobody answers at {self.url} ({error}); check that the cluster is up and that this is its "
                "dashboard's address, as http://HOST:8265"
            ) from error
        except ValueError as error:
            raise JobError(f"--address: {self.url} must be Ray's dashboard, answers as something else") from error

    def _refusal(self, code: int) -> JobError:
        if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            what = "is not the one of this cluster" if self.token else "is needed"
            return JobError(
                f"{self.url}: the token {what}; put the cluster's into RAY_AUTH_TOKEN, or its file's path into "
                "RAY_AUTH_TOKEN_PATH, and check that this is the address of Ray's dashboard"
            )
        return JobError(f"--address: {self.url} must be Ray's dashboard, answers with {code}")


def find_endpoint(address: str = "", folder: str | Path = FOLDER) -> Endpoint:
    """The Jobs API to use: the one named, then the environment's, then that of the local cluster.

    Args:
        address: http(s) URL of a dashboard.
        folder: of the local cluster.

    Raises:
        JobError: the address is no such URL, or there is none at all.
    """
    cluster = load_cluster(folder)
    url = (address or _from_environment()).rstrip("/")
    if not url and cluster is None:
        raise JobUsageError(
            "--address: must be the URL of a Ray dashboard, as http://HOST:8265, where no local cluster is up; "
            "`dclf cluster up` starts one"
        )
    if cluster is not None and url in ("", cluster.jobs_address):
        return Endpoint(cluster.jobs_address, cluster.token, cluster.versions, local=True)
    return Endpoint(_checked(url), _own_token())


def _from_environment() -> str:
    addresses = (os.environ.get(name, "") for name in ADDRESS_VARIABLES)
    return next((value for value in addresses if value.startswith(("http://", "https://"))), "")


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise JobUsageError(f"--address: must be the URL of a Ray dashboard, as http://HOST:8265, is {url!r}")
    if parts.username or parts.password:
        raise JobUsageError("--address: must not hold a user or password; Ray's token goes into RAY_AUTH_TOKEN")
    return url


def _own_token() -> str:
    """Return the token that this process uses, looked for where Ray looks for it."""
    if token := os.environ.get(TOKEN, "").strip():
        return token
    if not (path := os.environ.get(TOKEN_PATH)):
        return home_token()
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise JobError(f"{TOKEN_PATH}: must name a file with the token, cannot read {path} ({error})") from error


@contextmanager
def as_address(endpoint: Endpoint) -> Iterator[None]:
    """Have Ray's job client talk to this endpoint: its environment would otherwise win over its arguments.

    The endpoint is reached past any proxy, as ``Endpoint.get`` does.
    """
    own = {"RAY_API_SERVER_ADDRESS": endpoint.url, **without_proxy(urlsplit(endpoint.url).hostname or "")}
    with environment(own, over=True):
        yield
