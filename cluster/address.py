"""Which Ray cluster a user names, told without importing Ray."""

from __future__ import annotations

import os


def cluster_address(address: str | None = None) -> str:
    """The cluster's address: the one given, else RAY_ADDRESS; empty where neither is, and Ray starts on this machine.

    Args:
        address: as a command line or a function's argument has it.
    """
    return address or os.environ.get("RAY_ADDRESS", "")
