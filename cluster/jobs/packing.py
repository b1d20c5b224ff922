"""Packs the folder that a job works in: configurations and code, no data, no environments, no secrets."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from cluster.jobs.endpoint import JobError, JobUsageError

LIMIT_BYTES = 50 << 20
"""Of all files; Ray itself keeps packages in the head's memory and takes none above 512 MB."""
LIMIT_FILES = 10_000
LEFT_OUT = (
    *(".git", ".hg", ".svn", "__pycache__", ".*_cache", "node_modules", "*.egg-info", "venv", ".venv"),
    *("dclf-runs", "mlruns", "mlflow.db*", "ray-token", "mlflow-password", ".env", ".netrc", "*.pem", "*.key"),
    *("*.arrow", "*.parquet", "*.feather", "*.npy", "*.npz", "*.h5", "*.hdf5", "*.pkl", "*.pickle", "*.wav", "*.mp4"),
    *("*.pt", "*.pth", "*.ckpt", "*.safetensors", "*.zip", "*.tar", "*.gz", "*.xz", "*.whl"),
)
"""Names of files and folders that never go along."""
NOTE = ".dclf-job"
"""A file of every package, so that none is empty."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Times do not matter: the same files are the same package, which is sent once."""
_MOST_SHOWN = 3


@dataclass(frozen=True)
class Package:
    """The zip file of the folder that a job works in.

    Attributes:
        path: of the zip file.
        files: how many there are in it.
        size: bytes of the files before they were compressed.
    """

    path: Path
    files: int
    size: int


def pack(
    folder: Path,
    out: Path,
    *,
    needed: Sequence[Path] = (),
    exclude: Sequence[str] = (),
    beside: Mapping[str, str] | None = None,
) -> Package:
    """Write a folder into a zip file.

    Args:
        folder: to pack.
        out: the zip file.
        needed: files that the command reads, all of them in the folder.
        exclude: patterns of names and of paths in the folder, beside ``LEFT_OUT``.
        beside: name -> text of files that the folder itself does not have.

    Raises:
        JobError: the folder is too large, or a needed file is not in the package.
    """
    root = folder.absolute()
    sizes = {path: path.stat().st_size for path in _package_files(root, (*LEFT_OUT, *exclude))}
    _require_needed(root, needed, sizes.keys())
    if (total := sum(sizes.values())) > LIMIT_BYTES:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:_MOST_SHOWN]
        listing = ", ".join(f"{path.relative_to(root)} ({sizes[path] >> 20} MiB)" for path in largest)
        raise JobError(
            f"{root}: a job's folder may hold {LIMIT_BYTES >> 20} MiB, holds {total >> 20} MiB; the largest files are "
            f"{listing}; leave them out with --exclude, or submit from a smaller folder"
        )
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in {NOTE: "packed by dclf submit\n", **(beside or {})}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
        for path in sorted(sizes):
            _add(archive, root, path)
    return Package(out, len(sizes), total)


def _add(archive: zipfile.ZipFile, root: Path, path: Path) -> None:
    entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
    archive.writestr(entry, path.read_bytes())


def _package_files(root: Path, patterns: Sequence[str]) -> Iterator[Path]:
    count = 0
    for place, folders, names in os.walk(root):
        here = Path(place)
        folders[:] = sorted(name for name in folders if _goes_along(root, here / name, patterns))
        for path in (here / name for name in sorted(names)):
            if path.is_file() and _goes_along(root, path, patterns):
                count += 1
                if count > LIMIT_FILES:
                    raise JobError(
                        f"{root}: a job's folder may hold {LIMIT_FILES} files, holds more, many of them in "
                        f"{here}; leave them out with --exclude, or submit from a smaller folder"
                    )
                yield path


def _goes_along(root: Path, path: Path, patterns: Sequence[str]) -> bool:
    inside = path.relative_to(root).as_posix()
    if any(fnmatch(path.name, pattern) or fnmatch(inside, pattern) for pattern in patterns):
        return False
    if path.is_dir():
        # A virtual environment whatever its name, and a set of shards.
        return not (path.is_symlink() or (path / "pyvenv.cfg").exists() or any(path.glob("*.arrow")))
    return not path.is_symlink() or path.resolve().is_relative_to(root.resolve())


def _require_needed(root: Path, needed: Sequence[Path], packed: Collection[Path]) -> None:
    for path in needed:
        place = Path(os.path.abspath(path))  # noqa: PTH100 - takes ".." out, and follows no link
        if not place.is_relative_to(root):
            raise JobUsageError(f"{path}: must be in the folder that is submitted, {root}; copy it there")
        if place not in packed:
            raise JobUsageError(
                f"{path}: the command needs it, but it is left out of the package; check name and --exclude"
            )
