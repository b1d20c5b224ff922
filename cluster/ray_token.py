"""Ray's token: where Ray keeps it, and one for a process whose home folder cannot keep any."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_generated: list[str] = []
"""The token of this process's own Rays. Ray reads a token once per process, so all of them have the same."""


def home_token() -> str:
    """Return the token in ~/.ray/auth_token, which all of a user's Rays share; empty where it cannot be read."""
    try:
        # Ray looks at the variable alone.
        return (Path(os.environ["HOME"]) / ".ray" / "auth_token").read_text(encoding="utf-8").strip()
    except (KeyError, OSError, ValueError):
        return ""


def local_token() -> dict[str, str]:
    """Return the variable with the token of a Ray that this process starts; nothing where the user has a token.

    Ray itself would write a new token into the home folder, and fails where that cannot be written.
    """
    if os.environ.get(TOKEN) or os.environ.get(TOKEN_PATH) or (home_token() and not _generated):
        return {}
    if not _generated:
        _generated.append(secrets.token_hex(32))
    return {TOKEN: _generated[0]}
