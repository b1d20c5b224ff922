"""URIs of files, made and read in this one place, and what a URI may hold: a place, never a user, password or key.

A path is quoted when it becomes a URI: ``?``, ``#`` and ``%41`` in a folder's name would mean something else there.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from dclf.errors import WrongInputError

FILE_SCHEMES = ("file:", "local:")
"""Beginnings of URIs that name files of this machine."""
_SQLITE = ("sqlite:///", "sqlite+pysqlite:///")

_SECRET_WORDS = ("key", "secret", "token", "password", "credential")


def file_uri(path: Path) -> str:
    """The ``file:`` URI of a path, from the root on."""
    return path.absolute().as_uri()


def file_path(uri: str) -> Path:
    """The path that a URI of this machine's files names.

    Raises:
        WrongInputError: it names another machine, or has a query or fragment, as a ``?`` or ``#`` in a name makes it.
    """
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise WrongInputError(f"{uri}: must name a file of this machine with three slashes, as in file:///folder")
    if parts.query or parts.fragment:
        raise WrongInputError(f"{uri}: must be a path alone; write %3F for a ? and %23 for a # in a name")
    return Path(unquote(parts.path))


def sqlite_uri(path: Path) -> str:
    """The URI of an SQLite file for SQLAlchemy, and thus for MLflow and Optuna: its path from the root on.

    SQLAlchemy reads a ``?`` as the beginning of options and resolves ``%41``; everything else it takes as it stands.
    MLflow (3.17) makes the folder of a ``sqlite:///`` file without resolving anything, which would leave an empty
    ``a%3Fb`` beside ``a?b``; it does not where the driver is named.
    """
    plain = str(path.absolute())
    quoted = plain.replace("%", "%25").replace("?", "%3F")
    return f"{_SQLITE[quoted != plain]}{quoted}"


def sqlite_path(uri: str) -> Path | None:
    """The absolute path of an SQLite URI's file, as SQLAlchemy reads it; None for any other URI.

    Raises:
        ValueError: it names no file, or has options.
    """
    if not uri.startswith(("sqlite:", "sqlite+")):
        return None
    place = next((uri.removeprefix(start) for start in _SQLITE if uri.startswith(start)), "")
    if place in ("", ":memory:"):
        raise ValueError(f"{uri}: must name a file, as in sqlite:///folder/mlflow.db")
    if "?" in place:
        raise ValueError(f"{uri}: must be a path without options; write %3F for a ? in a name")
    return Path(unquote(place)).absolute()


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
    secret_part = "user or password before the @" if "@" in parts.netloc else f"parameter {secret[0]}"
    return (
        f"{without_secret(place)}: must hold no credentials, has a {secret_part}; set them in the environment "
        "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS)"
    )


def without_secret(place: str) -> str:
    """A place for messages: a URI without user, password and query."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
