"""Where shards live: a local folder, or any URI that pyarrow or fsspec can open."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

CHUNK = 1 << 20
"""Bytes read at a time when a file is hashed."""


def absolute(place: str) -> str:
    """A local path from the root on, for processes that run in other folders; a URI as it is."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


@dataclass(frozen=True)
class Folder:
    """An opened folder: a filesystem and the folder's path on it.

    Attributes:
        filesystem: pyarrow's view of the store.
        root: path of the folder on ``filesystem``.
        shown: the folder as the user named it, for messages.
    """

    filesystem: Any
    root: str
    shown: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Folder:
        """Resolve a local path or a URI such as s3://bucket/shards; ValueError on a scheme nobody serves."""
        shown = os.fspath(path)
        if "://" not in shown:
            return cls(pafs.LocalFileSystem(), absolute(shown), shown)
        filesystem, root = _resolve_uri(shown)
        return cls(filesystem, root.rstrip("/"), shown)

    @property
    def is_local(self) -> bool:
        """Whether files can be memory-mapped."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def path(self, name: str) -> str:
        """Path of a file of the folder on its filesystem."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Whether the folder holds this file."""
        info = self.filesystem.get_file_info(self.path(name))
        return bool(info.type == pafs.FileType.File)

    def names(self) -> list[str]:
        """Names of the entries directly in the folder, sorted; empty where the folder does not exist."""
        selector = pafs.FileSelector(self.root, recursive=False, allow_not_found=True)
        return sorted(entry.base_name for entry in self.filesystem.get_file_info(selector))

    def read_bytes(self, name: str) -> bytes:
        """The whole file."""
        with self.filesystem.open_input_stream(self.path(name)) as stream:
            return bytes(stream.read())

    def sha256(self, name: str) -> str:
        """Hexadecimal SHA-256 of a file, read in chunks."""
        digest = hashlib.sha256()
        with self.filesystem.open_input_stream(self.path(name)) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def open_source(self, name: str, *, whole: bool = False) -> Any:
        """A random-access source for Arrow: memory-mapped when local; remote files whole in memory if asked."""
        if self.is_local:
            return pa.memory_map(self.path(name))
        source = self.filesystem.open_input_file(self.path(name))
        return pa.BufferReader(source.read_buffer()) if whole else source


def _resolve_uri(uri: str) -> tuple[Any, str]:
    try:
        filesystem, root = pafs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, NotImplementedError):
        return _resolve_with_fsspec(uri)
    return filesystem, root


def _resolve_with_fsspec(uri: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - only URIs that pyarrow does not know need it

    try:
        filesystem, root = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise ValueError(
            f"{uri}: cannot open this kind of URI ({error}); use a local folder, s3://, gs://, file://, or install the "
            "fsspec package that serves the scheme"
        ) from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), root
