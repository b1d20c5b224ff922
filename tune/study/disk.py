"""A study's folder that can no longer be written: that ends the study, and is no fault of a trial."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from cluster.storage import PROBE_BYTES, StorageError, prove_writable
from dclf.data.storage import Folder, is_remote, trouble_with
from dclf.errors import DISK_FULL


def says_full(error: BaseException | None) -> bool:
    """Whether a full or read-only disk is at the root of an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def full_disk(folder: Path | str, cause: object) -> StorageError:
    """The error that ends the study."""
    return StorageError(
        f"sweep.storage: {folder} can no longer be written ({cause}); free space or make it writable, then resume: "
        "trials go on from the last epoch that was kept"
    )


def disk_trouble(folder: Path | str) -> StorageError | None:
    """Why nothing can be written to the study's folder, or to the URI it lies at, now; None where it can."""
    if is_remote(str(folder)):
        return _store_trouble(str(folder))
    probe = Path(folder) / f".probe-{uuid4().hex}"
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
    except OSError as error:
        return full_disk(folder, error.strerror or error)
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return None


def _store_trouble(address: str) -> StorageError | None:
    try:
        prove_writable(Folder.of(address))
    except OSError as error:
        return full_disk(address, trouble_with(error))
    return None
