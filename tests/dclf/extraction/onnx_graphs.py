"""ONNX files without the onnx package: as much of their protobuf as one-input graphs of float32 need.

A field is its number, its wire type (0 a whole number, 2 bytes with their length) and its value; the numbers are those
of onnx.proto, whose message each function names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FLOAT, INT, INTS = 1, 2, 7
IR_VERSION, OPSET = 8, 13

Shape = Sequence[int | str]


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def value_info(name: str, shape: Shape) -> bytes:
    """ValueInfoProto: a float32 tensor; a word in the shape is an open dimension."""
    dims = b"".join(field(1, field(1 if isinstance(side, int) else 2, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def tensor(name: str, values: NDArray[np.float32]) -> bytes:
    """TensorProto."""
    dims = b"".join(field(1, side) for side in values.shape)
    return dims + field(2, FLOAT) + field(8, name) + field(9, values.astype("<f4").tobytes())


def node(kind: str, inputs: Sequence[str], output: str, attributes: Mapping[str, int | Sequence[int]]) -> bytes:
    """NodeProto."""
    names = b"".join(field(1, name) for name in inputs)
    return (
        names + field(2, output) + field(4, kind) + b"".join(field(5, _attribute(*one)) for one in attributes.items())
    )


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, INT)
    return field(1, name) + b"".join(field(8, one) for one in value) + field(20, INTS)


def write_graph(
    path: Path,
    nodes: Sequence[bytes],
    inputs: Mapping[str, Shape],
    output: Shape,
    weights: Mapping[str, NDArray[np.float32]] | None = None,
) -> Path:
    """ModelProto with a GraphProto, whose last node gives ``row``."""
    graph = b"".join(field(1, one) for one in nodes) + field(2, "graph")
    graph += b"".join(field(5, tensor(*one)) for one in (weights or {}).items())
    graph += b"".join(field(11, value_info(*one)) for one in inputs.items()) + field(12, value_info("row", output))
    path.write_bytes(field(1, IR_VERSION) + field(8, field(2, OPSET)) + field(7, graph))
    return path


def write_flatten(path: Path, shape: Shape) -> Path:
    """A graph whose row is its picture, number after number."""
    return write_graph(path, [node("Flatten", ["pixels"], "row", {"axis": 1})], {"pixels": shape}, ["N", "D"])


def write_convolution(path: Path, kernels: NDArray[np.float32], shape: Shape) -> Path:
    """A graph whose output is [N, D, h - 2, w - 2], of kernels [D, 3, 3, 3]."""
    step = node("Conv", ["pixels", "kernels"], "row", {"kernel_shape": kernels.shape[2:]})
    return write_graph(path, [step], {"pixels": shape}, ["N", "D", "h", "w"], {"kernels": kernels})


def write_sum(path: Path, inputs: Mapping[str, Shape]) -> Path:
    """A graph of two inputs."""
    return write_graph(path, [node("Add", [*inputs], "row", {})], inputs, next(iter(inputs.values())))
