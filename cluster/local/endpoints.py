"""Questions to the cluster's own web servers, past any proxy that the user has for other addresses."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

LIMIT_S = 5.0
_OPENER = build_opener(ProxyHandler({}))


def fetch_json(url: str, *, bearer: str = "", user: str = "", password: str = "") -> Any:
    """What a server answers; OSError (``HTTPError`` where it refuses) otherwise."""
    headers = {"Accept": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    elif user:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    with _OPENER.open(Request(url, headers=headers), timeout=LIMIT_S) as answer:  # noqa: S310 - http, our own address
        return json.loads(answer.read())


def answers(url: str) -> bool:
    """Whether a server answers there with success."""
    return status_of(url) == HTTPStatus.OK


def refuses_strangers(url: str) -> bool:
    """Whether it turns away who brings neither token nor password."""
    return status_of(url) in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def status_of(url: str) -> int | None:
    """The HTTP status without token or password; None where nobody answers."""
    try:
        with _OPENER.open(url, timeout=LIMIT_S) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None
