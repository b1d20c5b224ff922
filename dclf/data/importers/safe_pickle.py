"""Reading files from strangers: NumPy arrays and plain containers come out, and nothing in the file is ever called.

A pickle is a program: it may name any importable callable and have it called while it is read. Here each of the few
names that array pickles need stands for a builder of our own; every other name ends the reading. Not even NumPy's own
functions run on the file's data: arrays are first kept as parts, then put together with shape, type and size checked.
Torch's archives, and the bytes of torch's tensors inside a pickle, go through ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dclf.data.errors import SourceError, UnsafePickleError

DAMAGED = (
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
_Memo = dict[int, tuple[Any, Any]]
"""Object and what became of it, by id; holding the object keeps its id from being used again."""
_TYPE_CODE = re.compile(r"^([<>|=]?)(\?|b|h|i|l|q|B|H|I|L|Q|e|f|d|b1|[iu][1248]|f[248]|[SU]\d+|O8?)$")


def tensor_values(tensor: Any) -> NDArray[Any]:
    """A dense tensor as an array; bfloat16, which NumPy lacks, as float32. ValueError on any other kind."""
    import torch  # noqa: PLC0415 - loaded by now

    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise ValueError(f"a tensor of layout {tensor.layout} is not read, only dense ones")
    plain = tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()
    values: NDArray[Any] = plain.resolve_conj().cpu().numpy()
    return values


def read_pickle(path: str | Path) -> Any:
    """The plain content of a pickle: dicts, lists, tuples, sets, numbers, strings and arrays.

    Args:
        path: a local file.

    Raises:
        UnsafePickleError: the pickle names anything else; nothing of it was run.
        SourceError: the file is missing, truncated or not a pickle.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            # Of Python 2's byte strings latin1 keeps the bytes of its arrays.
            return _put_together(_SafeUnpickler(stream, encoding="latin1").load(), {})
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{file}: {error}") from None
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error}); check the path") from error
    except DAMAGED as error:
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


class _Storage:
    """The bytes of a torch storage, as ``torch.save`` wrote them inside a pickle."""

    __slots__ = ("_data",)

    def __init__(self, data: Any) -> None:
        self._data = data

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a storage has no state of its own")

    def read(self) -> tuple[Any, Any]:
        """The untyped storage and its dtype, by torch's reader of weights, which calls nothing that a file names."""
        import torch  # noqa: PLC0415 - a second's import, for these files only

        if not isinstance(self._data, bytes):
            raise TypeError("a torch storage does not come with its bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # TypedStorage, which pickles hold, is deprecated
            values = torch.load(io.BytesIO(self._data), map_location="cpu", weights_only=True)
            if not isinstance(values, torch.storage.TypedStorage):
                raise TypeError(f"a tensor's storage is a {type(values).__name__}")
            return values.untyped(), values.dtype


class _Tensor:
    """The parts of a torch tensor: storage, offset, size and stride."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: Any) -> None:
        self._parts = parts[:4]

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a tensor has no state of its own")

    def resolve(self) -> NDArray[Any]:
        """The values; size, stride and offset are checked to lie inside the storage."""
        import torch  # noqa: PLC0415 - slow to import

        storage, offset, size, stride = self._parts
        if not isinstance(storage, _Storage) or len(_sizes(size)) != len(_sizes(stride)):
            raise ValueError("a tensor without its storage, size and stride")
        data, dtype = storage.read()
        empty = torch.empty(0, dtype=dtype)
        last = sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if not isinstance(offset, int) or offset < 0:
            raise ValueError(f"a tensor's offset is {offset!r}")
        if math.prod(size) and offset + last >= data.nbytes() // empty.element_size():
            raise ValueError("a tensor reaches beyond its storage")
        return tensor_values(empty.set_(data, offset, size, stride).clone())


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

    def resolve(self, memo: _Memo) -> NDArray[Any]:
        if self._parts is None:
            raise ValueError("an array without its data")
        shape, kind, fortran, data = self._parts
        dtype = kind.resolve()
        count = math.prod(_sizes(shape))
        flat = _objects(data, count, memo) if dtype == np.dtype(object) else _numbers(data, dtype, count)
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


def _objects(data: Any, count: int, memo: _Memo) -> NDArray[Any]:
    if not isinstance(data, list) or len(data) != count:
        raise ValueError(f"an array of {count} objects does not come with a list of as many")
    flat = np.empty(count, dtype=object)
    for place, value in enumerate(data):
        flat[place] = _put_together(value, memo)
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


def _default_dict(*_: Any) -> dict[Any, Any]:
    """A plain dict: what a defaultdict would make of an absent key is not wanted."""
    return {}


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _only_named(*_: Any) -> Any:
    raise TypeError("the factory of a defaultdict is only ever named, not called")


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _nothing,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _pairs_to_dict,
    ("collections", "defaultdict"): _default_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _Storage,
}
for _core in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _empty_array
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _array_from_buffer
for _builtin in ("__builtin__", "builtins"):
    _ADMITTED[_builtin, "bytes"] = _empty_bytes  # protocol 2 has no other way to say b""
    _ADMITTED[_builtin, "set"] = set
    _ADMITTED[_builtin, "frozenset"] = frozenset
    for _factory in ("list", "dict", "tuple", "int", "float", "str", "bool"):
        _ADMITTED[_builtin, _factory] = _only_named


class _SafeUnpickler(pickle.Unpickler):
    """An unpickler to which only the names of ``_ADMITTED`` exist."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise UnsafePickleError(
                f"the pickle names {module}.{name}, which is no array, tensor or plain container; nothing of "
                "it was run. Do not load it with Python's pickle: take the features from a source you trust, or save "
                "them anew as NumPy arrays in plain dicts and lists"
            )
        return _Builder(_ADMITTED[module, name])


def _put_together(value: Any, memo: _Memo) -> Any:
    """Replace array parts by arrays, throughout nested containers, each object once."""
    if value is None or isinstance(value, (str, bytes, bytearray, bool, int, float, complex)):
        return value
    if id(value) not in memo:
        memo[id(value)] = (value, value)  # stands in for itself while a container that holds itself is walked
        memo[id(value)] = (value, _resolved(value, memo))
    return memo[id(value)][1]


def _resolved(value: Any, memo: _Memo) -> Any:
    if isinstance(value, _Array):
        return value.resolve(memo)
    if isinstance(value, _Tensor):
        return value.resolve()
    if isinstance(value, dict):
        for key in value:
            value[key] = _put_together(value[key], memo)
        return value
    if isinstance(value, list):
        value[:] = [_put_together(item, memo) for item in value]
        return value
    if isinstance(value, (tuple, set, frozenset)):
        return type(value)(_put_together(item, memo) for item in value)
    raise ValueError("a name or a part of an array stands where a value belongs")
