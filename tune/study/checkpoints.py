"""The checkpoint in a training's folder: whether there is one, how large it is, and deleting it.

The epochs (``history.json``) stay.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tune.study.history import HISTORY_FILE, saved_history, write_history


def has_checkpoint(training: Path) -> bool:
    """Whether a training's folder holds anything that it could go on from."""
    return any(True for _ in dispensable(training))


def bytes_of(training: Path) -> int:
    """Size of a training's checkpoint."""
    return sum(_size(path) for path in dispensable(training))


def delete_checkpoint(training: Path) -> int:
    """Delete a training's checkpoint and keep its epochs; the bytes freed.

    Raises:
        OSError: it cannot be deleted, or its epochs cannot be kept.
    """
    paths = dispensable(training)
    if not paths:
        return 0
    if not (training / HISTORY_FILE).exists() and (history := saved_history(training)):
        write_history(training, history)
    freed = sum(_size(path) for path in paths)
    for path in paths:
        _remove(path)
    return freed


def dispensable(training: Path) -> list[Path]:
    """All that lies in a training's folder but its epochs."""
    return [path for path in training.iterdir() if path.name != HISTORY_FILE] if training.exists() else []


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())
    return path.lstat().st_size


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
