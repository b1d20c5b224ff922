"""Reading pickles from strangers: NumPy arrays and plain containers come out, and nothing in the file is ever called.

A pickle is a program: it may name any importable callable and have it called while it is read. Here each of the few
names that array pickles need stands for a builder of our own; every other name ends the reading. Not even NumPy's own
functions run on the file's data: arrays are first kept as parts, then put together with shape, type and size checked.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import SourceError, UnsafePickleError

_DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
)
_Seen = dict[int, tuple[Any, Any]]
"""Object and what became of it, by id; holding the object keeps its id from being used again."""
_TYPE_CODE = re.compile(r"^([<>|=]?)(\?|b|h|i|l|q|B|H|I|L|Q|e|f|d|b1|[iu][1248]|f[248]|[SU]\d+|O8?)$")


def read_pickle(path: str | Path, encoding: str = "latin1") -> Any:
    """The plain content of a pickle: dicts, lists, tuples, sets, numbers, strings and arrays.

    Args:
        path: a local file.
        encoding: of Python 2's byte strings; latin1 keeps the bytes of its arrays.

    Raises:
        UnsafePickleError: the pickle names anything else; nothing of it was run.
        SourceError: the file is missing, truncated or not a pickle.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            return _put_together(_SafeUnpickler(stream, encoding=encoding).load(), {})
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{file}: {error}") from None
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error}); check the path") from error
    except _DAMAGED as error:
        raise SourceError(
            f"{file}: is not a whole pickle of arrays and plain containers ({type(error).__name__}: {error}); "
            "the file is truncated or of another kind: download it again"
        ) from error


class _Builder:
    """A name from the pickle, bound to a function of ours; slots leave the pickle nothing to set on it."""

    __slots__ = ("_build",)
    _build: Callable[..., Any]

    def __init__(self, build: Callable[..., Any]) -> None:
        object.__setattr__(self, "_build", build)

    def __call__(self, *arguments: Any) -> Any:
        return self._build(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"the pickle tries to change {name} of a name it imports")


class _Type:
    """The parts of a NumPy dtype: its code from the constructor, its byte order from the state."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any, *_: Any) -> None:
        matched = _TYPE_CODE.match(code) if isinstance(code, str) else None
        if matched is None:
            raise ValueError(f"arrays of type {code!r} are not read, only numbers, strings and plain objects")
        self._order, self._code = matched.groups()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError(f"{state[1]!r} is no byte order")
        self._order = state[1]

    def resolve(self) -> np.dtype[Any]:
        code = "O" if self._code == "O8" else self._code
        return np.dtype(code) if code in ("O", "?", "b1") or self._order == "|" else np.dtype(self._order + code)


class _Array:
    """The parts of a NumPy array: shape, type, memory order and data."""

    __slots__ = ("_parts",)
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, parts: tuple[Any, ...] | None = None) -> None:
        self._parts = parts

    def __eq__(self, other: object) -> bool:
        return self is other

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._parts = tuple(state[-4:])

    def resolve(self, seen: _Seen) -> NDArray[Any]:
        if self._parts is None:
            raise ValueError("an array without its data")
        shape, kind, fortran, data = self._parts
        dtype = kind.resolve()
        count = math.prod(_sizes(shape))
        flat = _objects(data, count, seen) if dtype == np.dtype(object) else _numbers(data, dtype, count)
        return flat.reshape(shape, order="F" if fortran else "C")


def _sizes(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"{shape!r} is no array shape")
    return shape


def _numbers(data: Any, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    raw = memoryview(data.encode("latin1") if isinstance(data, str) else data)
    if dtype.itemsize == 0 or raw.nbytes != count * dtype.itemsize:
        raise ValueError(f"an array of {count} {dtype} has {raw.nbytes} bytes of data")
    return np.frombuffer(raw, dtype)


def _objects(data: Any, count: int, seen: _Seen) -> NDArray[Any]:
    if not isinstance(data, list) or len(data) != count:
        raise ValueError(f"an array of {count} objects does not come with a list of as many")
    flat = np.empty(count, dtype=object)
    for place, value in enumerate(data):
        flat[place] = _put_together(value, seen)
    return flat


def _scalar(kind: _Type, data: Any = None) -> Any:
    dtype = kind.resolve()
    if dtype == np.dtype(object):
        raise ValueError("a scalar of type object is not read")
    return _numbers(data, dtype, 1)[0].item()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes encoded as {encoding!r}, only latin1 occurs in array pickles")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


def _empty_array(*_: Any) -> _Array:
    return _Array()


def _array_from_buffer(data: Any, kind: _Type, shape: Any, order: str) -> _Array:
    return _Array((shape, kind, order == "F", data))


def _nothing(*_: Any) -> Any:
    raise TypeError("numpy.ndarray is only ever named in array pickles, not called")


def _pairs_to_dict(pairs: Any = ()) -> dict[Any, Any]:
    return dict(pairs)


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _nothing,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _pairs_to_dict,
}
for _core in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _empty_array
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _array_from_buffer
for _builtin in ("__builtin__", "builtins"):
    _ADMITTED[_builtin, "bytes"] = _empty_bytes  # protocol 2 has no other way to say b""
    _ADMITTED[_builtin, "set"] = set
    _ADMITTED[_builtin, "frozenset"] = frozenset


class _SafeUnpickler(pickle.Unpickler):
    """An unpickler to which only the names of ``_ADMITTED`` exist."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise UnsafePickleError(
                f"the pickle names {module}.{name}, which is neither a NumPy array nor a plain container; nothing of "
                "it was run. Do not load it with Python's pickle: take the features from a source you trust, or save "
                "them anew as NumPy arrays in plain dicts and lists"
            )
        return _Builder(_ADMITTED[module, name])


def _put_together(value: Any, seen: _Seen) -> Any:
    """Replace array parts by arrays, throughout nested containers, each object once."""
    if value is None or isinstance(value, (str, bytes, bytearray, bool, int, float, complex)):
        return value
    if id(value) not in seen:
        seen[id(value)] = (value, value)  # stands in for itself while a container that holds itself is walked
        seen[id(value)] = (value, _resolved(value, seen))
    return seen[id(value)][1]


def _resolved(value: Any, seen: _Seen) -> Any:
    if isinstance(value, _Array):
        return value.resolve(seen)
    if isinstance(value, dict):
        for key in value:
            value[key] = _put_together(value[key], seen)
        return value
    if isinstance(value, list):
        value[:] = [_put_together(item, seen) for item in value]
        return value
    if isinstance(value, (tuple, set, frozenset)):
        return type(value)(_put_together(item, seen) for item in value)
    raise ValueError("a name or a part of an array stands where a value belongs")
