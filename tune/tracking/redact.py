"""Keep passwords out of messages, parameters, tags and artifacts."""

from __future__ import annotations

import re
from typing import Any

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)[^/\s'\"]*@")
_QUERY_SECRET = re.compile(
    r"(?P<key>(?:password|passwd|pwd|token|secret|signature|sig|credential|api_?key|access_?key)[\w\-]*=)[^&\s'\"]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """The text with user names and passwords taken out of its URIs, and secret query values masked.

    ``http://me:pw@host`` becomes ``http://host``, so that what is left still names the server.
    """
    return _QUERY_SECRET.sub(r"\g<key>***", _USER_INFO.sub(r"\g<scheme>", text))


def clean(value: Any) -> Any:
    """``without_secrets`` on every string of nested dictionaries and sequences."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value
