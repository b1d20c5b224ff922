"""A user's proxy that reaches nothing."""

import os

DEAD_PROXY = "http://127.0.0.1:9"
"""Nobody listens on the port of the discard protocol."""
PROXIES = {
    name: DEAD_PROXY
    for lower in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
    for name in (lower, lower.upper())
}


def behind_proxy(**more: str) -> dict[str, str]:
    """This process's environment, with proxies for everything and no exception."""
    own = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    return {**own, **PROXIES, **more}
