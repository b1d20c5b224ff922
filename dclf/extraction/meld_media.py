"""Where MELD's recordings lie: a clip an utterance, in a folder a split, under the names of its authors' archive."""

from __future__ import annotations

import re
from pathlib import Path

FOLDERS = {
    "train": ("train_splits", "train"),
    "val": ("dev_splits_complete", "dev", "val"),
    "test": ("output_repeated_splits_test", "test"),
}
"""Our split -> folders that may have its clips; the archive's own may lie inside the others."""
KINDS = (".mp4", ".mkv", ".avi", ".wav", ".flac", ".mp3", ".m4a", ".ogg")
"""Of files, the first where there are several: pictures come with sound."""
# Clips of the test split that were cut anew have a name before theirs; what begins with a dot is a resource fork.
_CLIP = re.compile(r"^(final_videos_test)?(dia\d+_utt\d+)$")


class MeldMedia:
    """The clips below a folder.

    Args:
        folder: that has the splits' folders.
    """

    def __init__(self, folder: Path) -> None:
        self._clips = {split: _clips(_folders(folder, names)) for split, names in FOLDERS.items()}
        self._expected = {
            split: next((clip.parent for clip in self._clips[split].values()), folder / names[0])
            for split, names in FOLDERS.items()
        }

    def path(self, split: str, stem: str) -> Path:
        """The clip of this name, such as ``dia0_utt3``; where it would be if it is not there."""
        return self._clips[split].get(stem, self._expected[split] / f"{stem}.mp4")


def _folders(folder: Path, names: tuple[str, ...]) -> list[Path]:
    inside = [folder / outer / inner for outer in names for inner in names if inner != outer]
    return [place for place in (*(folder / name for name in names), *inside) if place.is_dir()]


def _clips(folders: list[Path]) -> dict[str, Path]:
    """Name of a clip -> its file, the best of several."""
    ranked: dict[str, tuple[tuple[int, bool, int], Path]] = {}
    for place, folder in enumerate(folders):
        for file in folder.iterdir():
            matched = _CLIP.match(file.stem)
            if matched is None or (kind := file.suffix.lower()) not in KINDS:
                continue
            candidate = ((place, matched[1] is None, KINDS.index(kind)), file)
            ranked[matched[2]] = min(ranked.get(matched[2], candidate), candidate)
    return {stem: file for stem, (_, file) in ranked.items()}
