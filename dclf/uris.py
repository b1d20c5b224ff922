"""What a URI may hold: a place, and never a user, password or key."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

_SECRET_WORDS = ("key", "secret", "token", "password", "credential")


def secret_problem(place: str) -> str:
    """Why a place may not stand in a configuration: its URI holds a user, a password or a key; empty where it does not.

    The sentence does not repeat the secret.
    """
    if "://" not in place:
        return ""
    parts = urlsplit(place)
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    secret = [name for name in names if any(word in name.lower() for word in _SECRET_WORDS)]
    if "@" not in parts.netloc and not secret:
        return ""
    found = "user or password before the @" if "@" in parts.netloc else f"parameter {secret[0]}"
    return (
        f"{without_secret(place)}: must hold no credentials, has a {found}; set them in the environment "
        "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS)"
    )


def without_secret(place: str) -> str:
    """A place for messages: a URI without user, password and query."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
