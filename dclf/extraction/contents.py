"""What an extractor reads of an utterance, as a hash: equal contents are computed once, and never again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dclf.extraction.contract import Unreadable, Utterance

Key = str | Unreadable
"""Hash of what an extractor reads, or why there is nothing to read."""

_THREADS = 8
"""That read recordings at a time: disks answer several faster than one, and hashing leaves Python to the others."""


def text_keys(utterances: Sequence[Utterance]) -> list[Key]:
    """The hashes of the words."""
    return [
        hashlib.sha256(u.text.encode()).hexdigest() if u.text.strip() else Unreadable("it has no words")
        for u in utterances
    ]


def recording_keys(utterances: Sequence[Utterance], digests: Mapping[str, Key]) -> list[Key]:
    """The hashes of the parts of recordings that are read.

    Args:
        utterances: whose recordings are meant.
        digests: from ``recording_digests``, of all of them.
    """
    return [_part(u, digests[u.recording]) if u.recording else Unreadable("it has no recording") for u in utterances]


def _part(utterance: Utterance, digest: Key) -> Key:
    if isinstance(digest, Unreadable) or (utterance.start is None and utterance.end is None):
        return digest
    times = [None if time is None else float(time) for time in (utterance.start, utterance.end)]
    return hashlib.sha256(f"{digest} {times}".encode()).hexdigest()


def recording_digests(paths: Iterable[str], read: Callable[[], None]) -> dict[str, Key]:
    """Path -> the hash of the file's bytes, or why it cannot be read.

    Args:
        paths: of recordings; one that comes twice is read once.
        read: is called after each.
    """
    different = list(dict.fromkeys(paths))
    digests: dict[str, Key] = {}
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for path, digest in zip(different, pool.map(_digest, different), strict=True):
            digests[path] = digest
            read()
    finally:
        pool.shutdown(cancel_futures=True)
    return digests


def _digest(path: str) -> Key:
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return Unreadable(f"{path} is not there", lasting=False)
    except OSError as error:
        return Unreadable(f"{path} cannot be read ({error.strerror or error})", lasting=False)
