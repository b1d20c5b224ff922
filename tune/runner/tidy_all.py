"""Frees the disk space of a study that nobody works on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tune.runner.doctor_files import RAY_FOLDER
from tune.runner.tidy import KEPT_NOTE, discard, kept_so_far, superfluous
from tune.study.checkpoints import bytes_of
from tune.study.folder import StudyFolder


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What was freed, or would be.

    Attributes:
        keep: how many of the best trials keep their checkpoints.
        checkpoints: how many were deleted.
        freed: bytes, Ray's leftovers included.
    """

    keep: int
    checkpoints: int
    freed: int


def survey_waste(folder: StudyFolder, keep: int) -> Cleaning:
    """What ``clean`` would free."""
    places = list(superfluous(folder, keep))
    freed = sum(map(bytes_of, places)) + sum(map(_bytes, _leftovers(folder)))
    return Cleaning(keep=keep, checkpoints=len(places), freed=freed)


def clean(folder: StudyFolder, keep: int) -> Cleaning:
    """Delete superfluous checkpoints and what Ray Tune left.

    Args:
        folder: the study, locked by this process.
        keep: how many of the best trials keep their checkpoints.

    Raises:
        OSError: something cannot be deleted, or a trial's epochs cannot be kept.
    """
    if keep < kept_so_far(folder):
        folder.ledger.note(KEPT_NOTE, keep=keep)
    places = list(superfluous(folder, keep))
    freed = sum(discard(folder, place) for place in places)
    for path in _leftovers(folder):
        freed += _bytes(path)
        shutil.rmtree(path)
    return Cleaning(keep=keep, checkpoints=len(places), freed=freed)


def _leftovers(folder: StudyFolder) -> Iterator[Path]:
    if (ray_folder := folder.path / RAY_FOLDER).exists():
        yield ray_folder


def _bytes(path: Path) -> int:
    return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())
