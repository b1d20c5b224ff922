"""Folders of shards, checkpoints and studies: local ones, or any URI that pyarrow or fsspec can open."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from dclf.errors import WrongInputError
from dclf.uris import FILE_SCHEMES, file_path, secret_problem
from dclf.whole_files import whole

CHUNK = 1 << 20
"""Bytes read at a time when a file is hashed."""
CONNECT_S, ANSWER_S, ATTEMPTS = 3.0, 5.0, 3
"""How long a store may take to accept a connection and to answer, in seconds, and how often it is asked: an unreachable
one is told within a quarter of a minute."""
_S3_PARAMETERS = ("region", "endpoint_override", "scheme")
"""What the query of an s3:// URI may set."""


class FileFacts(NamedTuple):
    """Size in bytes and time of the last change in nanoseconds since the epoch, as the store has them."""

    size: int
    changed: int


def absolute(place: str) -> str:
    """A local path from the root on, for processes that run in other folders; the URI of a store as it is.

    Raises:
        ValueError: a ``file:`` URI that is more than a path.
    """
    if is_remote(place):
        return place
    return str(file_path(place) if place.startswith(FILE_SCHEMES) else Path(place).expanduser().absolute())


def is_remote(place: str) -> bool:
    """Whether a place is a URI of a store rather than a folder on this machine."""
    return "://" in place and not place.startswith(FILE_SCHEMES)


def is_uri(place: str) -> bool:
    """Whether a place is a URI, of a store or of a file, rather than a path."""
    return "://" in place or place.startswith(FILE_SCHEMES)


def place_below(place: str, name: str) -> str:
    """A folder or file in a place; the query of a URI, which holds options of the store, stays at its end."""
    path, mark, query = _before_query(place)
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def parent_and_name(place: str) -> tuple[str, str]:
    """The inverse of ``place_below``."""
    path, mark, query = _before_query(place)
    parent, _, name = path.rpartition("/")
    return f"{parent}{mark}{query}", name


def _before_query(place: str) -> tuple[str, str, str]:
    return place.partition("?") if is_remote(place) else (place, "", "")


def trouble_with(error: BaseException) -> str:
    """What an error of a store means and what to do, in one line; the error's own text where it says enough."""
    text = " ".join(str(error).split()).partition(" (Request ID")[0]
    for words, meaning in _TROUBLES:
        if any(word.lower() in text.lower() for word in words):
            return f"{meaning} ({text})"
    return text


_TROUBLES = (
    (("NO_SUCH_BUCKET", "To create buckets"), "the bucket does not exist: create it or correct its name"),
    (
        ("ACCESS_DENIED", "HTTP response code 403", "PERMISSION_DENIED"),
        "no permission: let these credentials list the bucket and read, write and delete its objects",
    ),
    (
        ("INVALID_ACCESS_KEY", "SIGNATURE", "INVALID_CLIENT_TOKEN", "UNRECOGNIZED_CLIENT", "UNAUTHENTICATED"),
        "the credentials are refused: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    (
        ("OAuth2 access token", "Could not load the default credentials"),
        "no credentials: set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account",
    ),
    (
        ("NETWORK_CONNECTION", "REQUEST_TIMEOUT", "curlCode", "UNAVAILABLE"),
        "the store does not answer: check the network, AWS_ENDPOINT_URL and AWS_REGION",
    ),
)


@dataclass(frozen=True)
class Folder:
    """An opened folder: a filesystem and the folder's path on it.

    Attributes:
        filesystem: pyarrow's view of the store.
        root: path of the folder on ``filesystem``.
        address: the folder as the user named it, for messages.
    """

    filesystem: Any
    root: str
    address: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Folder:
        """Resolve a local path or a URI such as s3://bucket/shards; asks no server.

        Raises:
            WrongInputError: nobody serves the scheme, or the URI holds credentials.
        """
        place = os.fspath(path)
        if problem := secret_problem(place):
            raise WrongInputError(problem)
        if not is_remote(place):
            return cls(pafs.LocalFileSystem(), absolute(place), place)
        filesystem, root = _resolve_uri(place)
        return cls(filesystem, root.rstrip("/"), place)

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

    def below(self, name: str) -> Folder:
        """A folder in this one."""
        return Folder(self.filesystem, self.path(name), place_below(self.address, name))

    def files(self, name: str = "") -> dict[str, FileFacts]:
        """All files of the folder, or of a folder in it, at any depth, by their path below it."""
        root = self.path(name) if name else self.root
        selector = pafs.FileSelector(root, recursive=True, allow_not_found=True)
        entries = self.filesystem.get_file_info(selector)
        return {
            info.path[len(root) + 1 :]: FileFacts(info.size, info.mtime_ns or 0)
            for info in entries
            if info.type == pafs.FileType.File
        }

    def folders_with(self, name: str) -> list[str]:
        """Names of the folders directly in this one that hold a file of this name, the latest changed first."""
        folders = self.names()
        if isinstance(self.filesystem, pafs.GcsFileSystem):  # which lists no folder that it did not make itself
            folders = sorted({path.partition("/")[0] for path in self.files()})
        paths = [self.path(f"{folder}/{name}") for folder in folders]
        entries = [info for info in self.filesystem.get_file_info(paths) if info.type == pafs.FileType.File]
        latest = sorted(entries, key=lambda info: info.mtime_ns or 0, reverse=True)
        return [info.path[len(self.root) + 1 :].partition("/")[0] for info in latest]

    def read_bytes(self, name: str) -> bytes:
        """The whole file."""
        # A stream would ask a store for many small ranges.
        try:
            with self.filesystem.open_input_file(self.path(name)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            self.require_bucket()
            raise

    def require_bucket(self) -> None:
        """Raise OSError where the folder is in a bucket that does not exist: there, nothing seems to be found."""
        bucket = self.root.partition("/")[0]
        in_a_bucket = isinstance(self.filesystem, pafs.S3FileSystem | pafs.GcsFileSystem)
        if in_a_bucket and self.filesystem.get_file_info(bucket).type == pafs.FileType.NotFound:
            raise OSError(f"NO_SUCH_BUCKET: {bucket}")

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all on a local disk and in an object store."""
        if not self.is_local:
            with self.filesystem.open_output_stream(self.path(name)) as stream:
                stream.write(content)
            return
        place = Path(self.path(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole(place) as unfinished:
            unfinished.write_bytes(content)

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens where it is not there."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self.path(name))

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
    parts = urlsplit(uri)
    if parts.scheme in _STORES:
        return _STORES[parts.scheme](parts.netloc, dict(parse_qsl(parts.query))), f"{parts.netloc}{parts.path}"
    try:
        filesystem, root = pafs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, NotImplementedError):
        return _resolve_with_fsspec(uri)
    return filesystem, root


def _s3(bucket: str, query: Mapping[str, str]) -> Any:
    if unknown := [name for name in query if name not in _S3_PARAMETERS]:
        raise WrongInputError(f"an s3:// URI may set {', '.join(_S3_PARAMETERS)}, sets {', '.join(unknown)}")
    # pyarrow itself reads credentials from the environment, but neither region nor endpoint.
    region = query.get("region") or _first_set("AWS_REGION", "AWS_DEFAULT_REGION")
    endpoint = query.get("endpoint_override") or _first_set("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return pafs.S3FileSystem(
        region=region or (None if endpoint else _region_of(bucket)),
        endpoint_override=endpoint,
        tls_ca_file_path=_first_set("AWS_CA_BUNDLE"),
        scheme=query.get("scheme", "https"),
        connect_timeout=CONNECT_S,
        request_timeout=ANSWER_S,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        # A small file is then one request instead of three.
        allow_delayed_open=True,
    )


def _first_set(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


@cache
def _region_of(bucket: str) -> str | None:
    """Where a bucket is, as AWS says; None where it does not."""
    try:
        return str(pafs.resolve_s3_region(bucket))
    except OSError:  # whatever is asked of the bucket next fails in the same way, and says so
        return None


def _gcs(_bucket: str, query: Mapping[str, str]) -> Any:
    if query:
        raise WrongInputError(f"a gs:// URI sets nothing, sets {', '.join(query)}; use the environment")
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    return pafs.GcsFileSystem(
        anonymous=bool(emulator), retry_time_limit=timedelta(seconds=ATTEMPTS * ANSWER_S), **_emulated(emulator)
    )


def _emulated(address: str) -> dict[str, str]:
    """Where an emulator of Google's storage listens, as pyarrow takes it."""
    if not address:
        return {}
    scheme, _, host = address.rpartition("://")
    return {"endpoint_override": host.rstrip("/"), "scheme": scheme or "http"}


_STORES = {"s3": _s3, "gs": _gcs, "gcs": _gcs}


def _resolve_with_fsspec(uri: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - only URIs that pyarrow does not know need it

    try:
        filesystem, root = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise WrongInputError(
            f"{uri}: cannot open this kind of URI ({error}); use a local folder, s3://, gs://, file://, or install the "
            "fsspec package that serves the scheme"
        ) from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), root
