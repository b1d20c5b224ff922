"""What is in a file of features, told by its first bytes: a pickle, an ``.npy`` or an archive of ``torch.save``."""

from __future__ import annotations

import pickle
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import SourceError, UnsafePickleError
from dclf.data.importers.safe_pickle import DAMAGED, read_pickle, tensor_values
from dclf.prose import join_words, quantity

_MOST_NAMED = 5
_ZIP, _NPY = b"PK\x03\x04", b"\x93NUMPY"
_ARCHIVE = 0x1950A86A20F9469CFC6C
"""The number that ``torch.save`` wrote first into its archives before they were zip files."""


def read_content(path: str | Path) -> Any:
    """The plain content of a pickle, an ``.npy`` file or a ``torch.save`` archive, told apart by their first bytes.

    Args:
        path: a local file; its name does not matter.

    Returns:
        Arrays and plain containers; torch's tensors become arrays.

    Raises:
        UnsafePickleError: the file names what is neither; nothing of it was run.
        SourceError: the file is missing, damaged or of another kind.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(len(_NPY))
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error}); check the path") from error
    if head.startswith(_NPY):
        return read_npy(file)
    content = _ARCHIVE if head.startswith(_ZIP) else read_pickle(file)
    return _read_archive(file) if isinstance(content, int) and content == _ARCHIVE else content


def read_npy(path: str | Path) -> NDArray[Any]:
    """The array of an ``.npy`` file, left on disk until it is used; SourceError where it holds objects or is broken."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        # NumPy keeps objects as a pickle, which it does not read here, and has no error of its own for it.
        objects = "object" in str(error).lower()
        remedy = (
            "it holds objects; save numbers, such as by numpy.save(FILE, array.astype('float32')), or objects such as "
            "a dict by pickle.dump"
            if objects
            else f"{error}; save it again"
        )
        raise SourceError(f"{path}: cannot be read as an .npy array of numbers: {remedy}") from error
    return array


def _read_archive(file: Path) -> Any:
    """What ``torch.save`` wrote; its archives are zip files, as NumPy's are."""
    with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if names and all(name.endswith(".npy") for name in names):
            arrays = join_words([name.removesuffix(".npy") for name in names[:_MOST_NAMED]])
            raise SourceError(
                f"{file}: is an .npz, an archive of {quantity(len(names), 'array')} ({arrays}); save the one that is "
                "meant by numpy.save(FILE.npy, array), or all as a dict by pickle.dump"
            )
    import torch  # noqa: PLC0415 - a second's import, for these files only

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)|global (\S+)", str(error))
        which = f"names {next(filter(None, name.groups())).rstrip('.')}" if name else "cannot be read by weights_only"
        raise UnsafePickleError(
            f"{file}: the torch archive {which}; only tensors and plain containers are admitted, and nothing of it was "
            "run. Save tensors in plain dicts and lists, or save NumPy arrays with pickle"
        ) from None
    except (*DAMAGED, OSError, RuntimeError) as error:
        raise SourceError(f"{file}: is no whole torch archive ({error}); download it or save it again") from error
    return _without_tensors(content, file)


def _without_tensors(value: Any, file: Path) -> Any:
    """Replace tensors by arrays, throughout plain containers."""
    import torch  # noqa: PLC0415 - loaded by now

    if isinstance(value, torch.Tensor):
        return tensor_values(value)
    if isinstance(value, dict):
        return {key: _without_tensors(inner, file) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_without_tensors(inner, file) for inner in value)
    if value is None or isinstance(value, (str, bytes, bool, int, float, set, frozenset)):
        return value
    raise SourceError(f"{file}: holds a {type(value).__name__}; save tensors in plain dicts, lists and tuples")
