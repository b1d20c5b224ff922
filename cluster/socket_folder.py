"""Where Ray's sockets lie: the path of a Unix socket may have about a hundred bytes, and Ray needs most of them.

Ray puts its sockets, with its logs, below TMPDIR. Schedulers and users have longer ones than fit.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.temporary import PREFIX, TemporaryFolder
from dclf.errors import UserError

RAY_FOLDER = "RAY_TMPDIR"
"""Ray's own variable for the folder in which it makes its folder ``ray``."""
_PREFIX = "dclf-"
_LONGEST = 103 if sys.platform == "darwin" else 107
_OF_RAY = len("/ray/session_2000-01-01_00-00-00_000000_4194304/sockets/dash_TaskEventsHead")
_PURPOSE = "ray"
_OF_PRIVATE = len(f"/{_PREFIX}12345678") + _OF_RAY
_OF_TEMPORARY = len(f"/{PREFIX}{_PURPOSE}-12345678") + _OF_RAY
_SHORT = ("/tmp", "/var/tmp")  # noqa: S108 - mkdtemp makes folders in them that are this user's alone


class SocketFolderError(UserError, OSError):
    """No folder is fit for Ray's sockets; the message says what to do."""


@contextmanager
def socket_settings() -> Iterator[dict[str, str]]:
    """Yield the variables with which a Ray of this process has room for its sockets.

    None are needed where Ray's own choice has room. Elsewhere Ray's folder is a private one on a short path, which is
    removed, with Ray's logs in it, when the block ends.

    Raises:
        SocketFolderError: no folder has room.
    """
    if _has_room(_default_parent(), _OF_RAY):
        yield {}
        return
    with TemporaryFolder(_PURPOSE, _private_parent(_OF_TEMPORARY)) as folder:
        yield {RAY_FOLDER: str(folder)}


def make_socket_folder() -> str:
    """Make a folder that this user alone can enter, and return its path; the caller removes it.

    Ray opens its own folder to everybody. It has to lie within this one, as ``ray``.

    Raises:
        SocketFolderError: no folder has room.
    """
    return tempfile.mkdtemp(prefix=_PREFIX, dir=_private_parent(_OF_PRIVATE))


def _private_parent(below: int) -> Path:
    parent = short_parent(below)
    if parent is None:
        raise SocketFolderError(
            f"{RAY_FOLDER}: must name a folder of at most {_LONGEST - _OF_PRIVATE} characters that can be written to, "
            f"as Ray's sockets lie in it and a socket's path may have {_LONGEST}; there is no room in "
            f"{', '.join(_parents())}"
        )
    return Path(parent)


def short_parent(below: int) -> str | None:
    """Return a folder for temporary files in which sockets so many bytes further down have room; None without any."""
    return next((parent for parent in _parents() if _has_room(parent, below)), None)


def _parents() -> list[str]:
    """Return the folders in question: the one that the user names for Ray, else the system's, TMPDIR before others."""
    if folder := os.environ.get(RAY_FOLDER):
        return [folder]
    return list(dict.fromkeys([tempfile.gettempdir(), *_SHORT, *filter(None, [os.environ.get("XDG_RUNTIME_DIR")])]))


def _default_parent() -> str:
    """Return where Ray makes its folder unless it is told otherwise."""
    own = (RAY_FOLDER, "TMPDIR") if sys.platform == "linux" else (RAY_FOLDER,)
    return next((os.environ[name] for name in own if os.environ.get(name)), _SHORT[0])


def _has_room(parent: str, below: int) -> bool:
    """Whether sockets so many bytes further down can be made there, also where Ray's folder is another user's."""
    target = Path(parent) / "ray" if (Path(parent) / "ray").exists() else Path(parent)
    fits = len(os.fsencode(parent.rstrip("/"))) + below <= _LONGEST
    return fits and Path(parent).is_absolute() and target.is_dir() and os.access(target, os.W_OK | os.X_OK)
