"""Where checkpoints go: a folder or a URI, tried out before a run starts."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from cluster.temporary import TemporaryFolder
from dclf.data.storage import Folder, is_remote, place_below, trouble_with
from dclf.errors import DISK_REFUSES, UserError
from dclf.training import checkpoint as checkpoints
from dclf.uris import without_secret

if TYPE_CHECKING:
    from ray.train import Checkpoint

NEEDED_BYTES = 256 << 20
"""Space a run must find on a local disk: three checkpoints of the larger models."""
PROBE_BYTES = 1 << 20
TRAIN_STORAGE = "train.storage"
"""The key that names a run's storage; a study's is another."""
SNAPSHOT = "checkpoint_manager_snapshot.json"
"""Ray Train's list of a run's checkpoints, in the run's folder."""
_log = logging.getLogger(__name__)


class StorageError(UserError, OSError):
    """Checkpoints cannot be kept where the configuration says; the message says why and what to do."""


def checked_storage(
    storage: str, run_name: str, *, resuming: bool = False, needed: int = NEEDED_BYTES, key: str = TRAIN_STORAGE
) -> Folder:
    """The folder for checkpoints, proven writable, with room, and without another run of this name.

    Args:
        storage: a folder or any URI that pyarrow or fsspec opens.
        run_name: folder of the run in it.
        resuming: the run may be there already.
        needed: bytes that must be free on a local disk.
        key: of the configuration, which names the storage.

    Raises:
        StorageError: it is unwritable, full, absent, seen by one process only, or the name is taken.
    """
    with _explained(storage, key):
        folder = Folder.of(storage)
        if "memory" in storage.split("://")[:-1]:
            raise OSError("a memory:// store is seen by one process only, workers and driver are several")
        prove_writable(folder)
        if folder.is_local and (free := shutil.disk_usage(folder.root).free) < needed:
            raise OSError(f"{needed >> 20} MiB must be free, {free >> 20} MiB are")
    if not resuming and folder.exists(f"{run_name}/{SNAPSHOT}"):
        raise StorageError(
            f"{key}: {storage} holds checkpoints of another run named {run_name}; resume that run, or choose "
            f"another name or another {key}"
        )
    return folder


@contextmanager
def lost_storage_named(storage: str, remedy: str) -> Iterator[None]:
    """Raise an error that names the checkpoints' storage where it became full or read-only in mid-run.

    Args:
        storage: ``train.storage``.
        remedy: how to go on once there is room.

    Raises:
        StorageError: the block met such a device; other errors pass as they are.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno not in DISK_REFUSES:
            raise
        raise StorageError(
            f"train.storage: a checkpoint could not be kept at {storage} ({error}); free space or make it writable, "
            f"then {remedy}"
        ) from error


def latest_checkpoint(storage: str, run_name: str) -> str | None:
    """Path or URI of a run's last checkpoint; None where it has none yet.

    Args:
        storage: ``train.storage``.
        run_name: folder of the run in it.

    Raises:
        StorageError: the storage cannot be read.
    """
    place = place_below(storage, run_name)
    with _explained(storage):
        folder = Folder.of(place)
        if not folder.exists(SNAPSHOT):
            return None
        try:
            latest = json.loads(folder.read_bytes(SNAPSHOT))["latest_checkpoint_result"]
            return None if latest is None else place_below(place, latest["checkpoint_dir_name"])
        except (ValueError, KeyError, TypeError):
            return _newest_whole(place, folder)


def checkpoint_to_resume(storage: str, run_name: str) -> str | None:
    """As ``latest_checkpoint``, for the one process that goes on with the run.

    A list of checkpoints that a kill cut short is set aside: Ray Train would stop at it.
    """
    latest = latest_checkpoint(storage, run_name)
    place = place_below(storage, run_name)
    with _explained(storage):
        folder = Folder.of(place)
        if folder.exists(SNAPSHOT) and not _is_json(folder.read_bytes(SNAPSHOT)):
            folder.filesystem.move(folder.path(SNAPSHOT), folder.path(f"{SNAPSHOT}.broken"))
            goes_on = "goes on from its newest checkpoint that can be read" if latest else "begins anew"
            _log.warning(f"{without_secret(place)}: a kill has cut {SNAPSHOT} short; the run {goes_on}")
    return latest


def _newest_whole(place: str, folder: Folder) -> str | None:
    """The newest checkpoint of a run that can be read; Ray Train names them by their time."""
    for name in sorted(folder.names(), reverse=True):
        if name.startswith("checkpoint_") and not name.startswith(SNAPSHOT):
            with suppress(checkpoints.CheckpointError):
                load_checkpoint(place_below(place, name))
                return place_below(place, name)
    return None


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def load_checkpoint(uri: str) -> dict[str, Any]:
    """The state in a checkpoint's folder or URI; needs no Ray.

    Raises:
        CheckpointError: it is absent or broken.
        OSError: the store does not answer.
    """
    folder = Folder.of(uri)
    if folder.is_local:
        return checkpoints.load(Path(folder.root))
    with TemporaryFolder("checkpoint") as copy:
        try:
            (copy / checkpoints.STATE_FILE).write_bytes(folder.read_bytes(checkpoints.STATE_FILE))
        except FileNotFoundError as error:
            raise checkpoints.CheckpointError(f"{uri}: must be a checkpoint, is absent; check the run's id") from error
        return checkpoints.load(copy)


def read_state(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state in a Ray Train checkpoint."""
    with checkpoint.as_directory() as folder:
        return checkpoints.load(Path(folder))


def prove_writable(folder: Folder) -> None:
    """Write, measure and delete a file.

    Raises:
        OSError: one of these fails; pyarrow's and fsspec's own errors come as they are.
    """
    name = f".probe-{uuid4().hex}"
    if not folder.is_local:
        try:
            folder.write_bytes(name, bytes(PROBE_BYTES))
            _measure(folder, name)
        except BaseException:
            with suppress(OSError, ValueError, pa.ArrowException):  # the first error is the one to be told
                folder.delete(name)
            raise
        folder.delete(name)
        return
    files, path = folder.filesystem, folder.path(name)
    files.create_dir(folder.root, recursive=True)
    try:
        with files.open_output_stream(path) as stream:
            stream.write(bytes(PROBE_BYTES))
        _measure(folder, name)
    finally:
        if folder.exists(name):
            files.delete_file(path)


def _measure(folder: Folder, probe: str) -> None:
    """Raise OSError where a file has not the size that was written."""
    if (size := folder.filesystem.get_file_info(folder.path(probe)).size) != PROBE_BYTES:
        raise OSError(f"a file of {PROBE_BYTES} bytes came back as {size}")


@contextmanager
def _explained(storage: str, key: str = TRAIN_STORAGE) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        place = without_secret(storage)
        if is_remote(storage):
            raise StorageError(f"{key}: cannot keep checkpoints at {place}: {trouble_with(error)}") from error
        raise StorageError(
            f"{key}: cannot keep checkpoints at {place} ({error}); free space, make it writable, or choose another "
            "folder or URI"
        ) from error
