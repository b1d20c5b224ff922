"""Saving and loading the state of a run: model, best model, optimiser, RNG, memory bank, early stopping, history.

The file holds tensors and plain containers only, so that it is loaded without running code from it: a header with the
containers, in which a number stands for each tensor, then the tensors' bytes. Fresh pages cost more than the bytes that
go into them, and ``torch.save`` takes fresh ones for every file and for a copy of every tensor: 25 to 45 ms for 16 MB,
which short epochs wait for. ``save`` writes from the tensors' memory over the file before the last, in 8 ms.
"""

from __future__ import annotations

import io
import math
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

STATE_FILE = "state.pt"
FORMAT = 2
_MAGIC = b"DCLF state\n"
_ALIGNMENT = 64
_PLACE = "tensor"
"""The only key of the mapping that stands for a tensor in the header."""
_PLAIN = frozenset({float, int, str, bool, type(None)})
"""Types of what the header holds as it is, among hundreds of values of every epoch."""
_BUFFERS = 512
"""Pieces of memory per system call; Linux takes 1,024."""
_STAMP_BYTES = 8
"""A random number at both ends of a file: where they differ, the file is not whole or was read while written over."""
_ATTEMPTS = 20
_TEXT_AT = len(_MAGIC) + _STAMP_BYTES + 8
"""Where the header's containers begin, behind their length."""


class CheckpointError(OSError):
    """A checkpoint cannot be read; the message says which and what to do."""


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a run's state into a folder, complete or not at all.

    The file before stays beside it, and the next save writes over it; ``settle`` removes it.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, unfinished, previous = folder / STATE_FILE, _unfinished(folder), _previous(folder)
    if previous.exists():
        # A file with a second name is somebody else's too.
        previous.unlink() if previous.stat().st_nlink > 1 else previous.replace(unfinished)
    _write(unfinished, _pieces({"format": FORMAT, **state}))
    with suppress(OSError):  # the first file, or a disk without links: the next save takes fresh pages
        previous.hardlink_to(path)
    unfinished.replace(path)


def settle(folder: Path) -> None:
    """Remove what only another ``save`` would have used."""
    for path in (_previous(folder), _unfinished(folder)):
        path.unlink(missing_ok=True)


def load(folder: Path) -> dict[str, Any]:
    """Read what ``save`` wrote, onto the CPU.

    Raises:
        CheckpointError: the file is absent, broken, or of another format.
    """
    path = folder / STATE_FILE
    try:
        state = _state_in(_read(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: must hold a run's checkpoint, is absent; check the run's id") from None
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({error}); use an earlier one") from error
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: must be checkpoint format {FORMAT}, is {state.get('format')!r}; use the version that wrote it"
        )
    return state


def _unfinished(folder: Path) -> Path:
    return folder / f"{STATE_FILE}.part"


def _previous(folder: Path) -> Path:
    return folder / f"{STATE_FILE}.previous"


def _write(path: Path, pieces: list[Any]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        for first in range(0, len(pieces), _BUFFERS):
            _write_all(file, pieces[first : first + _BUFFERS])
        os.ftruncate(file, os.lseek(file, 0, os.SEEK_CUR))
    finally:
        os.close(file)


def _write_all(file: int, pieces: list[Any]) -> None:
    left = [view for piece in pieces if (view := memoryview(piece)).nbytes]
    while left:
        written = os.writev(file, left)
        while left and written >= left[0].nbytes:
            written -= left.pop(0).nbytes
        if left and written:
            left[0] = left[0].cast("B")[written:]


def _read(path: Path) -> bytearray:
    """The whole file as one ``save`` left it, however many follow meanwhile."""
    for _ in range(_ATTEMPTS):
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            content = bytearray(before.st_size)
            file.readinto(content)
        now = path.stat()
        # Only a file that is no longer the last one is written over. Times are too coarse to tell it of tiny files.
        if (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns) and _whole(content):
            return content
    raise OSError("it is not whole")


def _whole(content: bytearray) -> bool:
    if not content.startswith(_MAGIC):
        raise ValueError(f"it does not begin as one of format {FORMAT}")
    start, end = len(_MAGIC), len(_MAGIC) + _STAMP_BYTES
    return len(content) >= end + _STAMP_BYTES and content[start:end] == content[-_STAMP_BYTES:]


def _pieces(state: dict[str, Any]) -> list[Any]:
    """The file's content, the tensors where they lie in memory."""
    tensors = _Tensors()
    text = pickle.dumps({"state": tensors.replaced(state), "tensors": tensors.table})
    stamp = os.urandom(_STAMP_BYTES)
    size = len(text).to_bytes(8, "little")
    padding = bytes(-(_TEXT_AT + len(text)) % _ALIGNMENT)
    return [_MAGIC, stamp, size, text, padding, *tensors.memory, stamp]


class _Tensors:
    """The tensors of a state in the order they are met, each once.

    Attributes:
        table: dtype, shape and first byte of each, counted from the end of the header.
        memory: what is to be written for them.
    """

    def __init__(self) -> None:
        self.table: list[tuple[str, list[int], int]] = []
        self.memory: list[Any] = []
        self._known: dict[tuple[Any, ...], int] = {}
        self._end = 0

    def replaced(self, value: Any) -> Any:
        """A copy of nested containers, in which numbers stand for the tensors."""
        import torch  # noqa: PLC0415 - who only asks for a checkpoint's place need not wait for it

        if type(value) in _PLAIN:
            return value
        if isinstance(value, torch.Tensor):
            return {_PLACE: self._place(value)}
        if isinstance(value, dict):
            return {key: self.replaced(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self.replaced, value))
        return value

    def _place(self, tensor: Tensor) -> int:
        key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if key not in self._known or not tensor.numel():
            self._known[key] = len(self.table)
            self._add(tensor)
        return self._known[key]

    def _add(self, tensor: Tensor) -> None:
        import torch  # noqa: PLC0415

        self.table.append((str(tensor.dtype).removeprefix("torch."), list(tensor.shape), self._end))
        if not tensor.numel():
            return
        flat = tensor.detach().cpu().contiguous()
        # NumPy has no bfloat16.
        flat = flat.reshape(-1).view(torch.uint8) if flat.dtype == torch.bfloat16 else flat
        self.memory.append(flat.numpy())
        size = tensor.nbytes
        if padding := -size % _ALIGNMENT:
            self.memory.append(bytes(padding))
        self._end += size + padding


class _PlainUnpickler(pickle.Unpickler):
    """Reads containers, numbers and strings; anything else would be code from the file."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, and may hold tensors and plain containers only")


def _state_in(content: bytearray) -> dict[str, Any]:
    end = _TEXT_AT + int.from_bytes(content[_TEXT_AT - 8 : _TEXT_AT], "little")
    header = _PlainUnpickler(io.BytesIO(content[_TEXT_AT:end])).load()
    start = end + -end % _ALIGNMENT
    tensors = [_tensor(content, start + place, dtype, shape) for dtype, shape, place in header["tensors"]]
    state: dict[str, Any] = _restored(header["state"], tensors)
    return state


def _tensor(content: bytearray, first: int, dtype: str, shape: list[int]) -> Tensor:
    import torch  # noqa: PLC0415

    kind: torch.dtype = getattr(torch, dtype)
    count = math.prod(shape)
    if not count:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(content, dtype=kind, count=count, offset=first).reshape(shape)


def _restored(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_PLACE}:
            return tensors[value[_PLACE]]
        return {key: _restored(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_restored(inner, tensors) for inner in value)
    return value
