"""Hosts that are reached without the user's proxy: a proxy elsewhere cannot reach the loopback of this machine.

Every HTTP client in use reads these variables: requests (MLflow, Ray's job client), urllib, botocore and aiohttp (S3
through fsspec and MLflow) and libcurl. Ray switches proxies off for its own gRPC.
"""

from __future__ import annotations

import os

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_VARIABLES = ("NO_PROXY", "no_proxy")
"""Programs differ in which of the two they read, and in which one wins."""


def without_proxy(*hosts: str) -> dict[str, str]:
    """Return NO_PROXY and no_proxy with loopback and the hosts added to what the user has in them.

    Args:
        hosts: further names or addresses.
    """
    # A variable that is absent gets the other one's value, which it would hide otherwise.
    fallback = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), "")
    return {name: _added(os.environ.get(name) or fallback, (*LOOPBACK_HOSTS, *hosts)) for name in _VARIABLES}


def has_proxy() -> bool:
    """Return whether this process's environment names a proxy for anything."""
    names = {name.lower() for name, value in os.environ.items() if value}
    return any(name.endswith("_proxy") and name != "no_proxy" for name in names)


def bypass_proxy_on_loopback() -> None:
    """Have this process, and those it starts, reach this machine itself without a proxy.

    Changes nothing where no proxy is named: macOS has its proxies elsewhere, and these variables would hide them.
    """
    if has_proxy():
        os.environ.update(without_proxy())


def _added(value: str, hosts: tuple[str, ...]) -> str:
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    if entries == ["*"]:  # no proxy for anything, which holds only as long as it stands alone
        return "*"
    return ",".join(dict.fromkeys([*entries, *hosts]))
