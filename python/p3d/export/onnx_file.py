"""Writes a ModelProto whose weights go from their arrays straight into the file.

Protobuf's own way makes several copies of the weights. Its wire format lets us append: a message
is the concatenation of its fields, so the graph is its small fields followed by one initializer
per constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from p3d.caffe.wire import tag, varint
from p3d.export.graph import Array

_MODEL_GRAPH = tag(7)  # ModelProto.graph
_GRAPH_INITIALIZER = tag(5)  # GraphProto.initializer
_TENSOR_RAW_DATA = tag(9)  # TensorProto.raw_data


def write(file: IO[bytes], model: Any, constants: Mapping[str, Array], onnx: Any) -> None:
    """Appends `constants` as initializers to the model's graph; empties the model."""
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    heads = [_tensor_head(onnx, name, array) for name, array in constants.items()]
    sizes = [len(h) + a.nbytes for h, a in zip(heads, constants.values(), strict=True)]
    begins = [_GRAPH_INITIALIZER + varint(size) for size in sizes]
    file.write(model.SerializeToString() + _MODEL_GRAPH)
    file.write(varint(len(graph) + sum(map(len, begins)) + sum(sizes)) + graph)
    for begin, head, array in zip(begins, heads, constants.values(), strict=True):
        file.write(begin + head)
        file.write(_little_endian(array).data)


def _tensor_head(onnx: Any, name: str, array: Array) -> bytes:
    """A TensorProto up to the length of its raw_data."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = onnx.TensorProto(dims=array.shape, data_type=kind, name=name)
    head: bytes = tensor.SerializeToString()
    return head + _TENSOR_RAW_DATA + varint(array.nbytes)


def _little_endian(array: Array) -> Array:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
