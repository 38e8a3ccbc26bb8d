"""Writes a ModelProto whose weights go from their arrays straight into the file.

Protobuf's own way makes several copies of the weights. Its wire format lets us append: a message
is the concatenation of its fields, so the graph is its small fields followed by one initializer
per constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from p3d.export.graph import Array

# Tags of fields that hold bytes: number << 3 | 2.
_MODEL_GRAPH = b"\x3a"  # ModelProto.graph, 7
_GRAPH_INITIALIZER = b"\x2a"  # GraphProto.initializer, 5
_TENSOR_RAW_DATA = b"\x4a"  # TensorProto.raw_data, 9


def write(file: IO[bytes], model: Any, constants: Mapping[str, Array], onnx: Any) -> None:
    """Appends `constants` as initializers to the model's graph; empties the model."""
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    heads = [_tensor_head(onnx, name, array) for name, array in constants.items()]
    sizes = [len(h) + a.nbytes for h, a in zip(heads, constants.values(), strict=True)]
    tags = [_GRAPH_INITIALIZER + _varint(size) for size in sizes]
    file.write(model.SerializeToString() + _MODEL_GRAPH)
    file.write(_varint(len(graph) + sum(map(len, tags)) + sum(sizes)) + graph)
    for tag, head, array in zip(tags, heads, constants.values(), strict=True):
        file.write(tag + head)
        file.write(_little_endian(array).data)


def _tensor_head(onnx: Any, name: str, array: Array) -> bytes:
    """A TensorProto up to the length of its raw_data."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = onnx.TensorProto(dims=array.shape, data_type=kind, name=name)
    head: bytes = tensor.SerializeToString()
    return head + _TENSOR_RAW_DATA + _varint(array.nbytes)


def _little_endian(array: Array) -> Array:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
