"""A net as the boxes and lines of a picture.

A convolution with its BN and ReLU is one box: layers that only pass on what the layer
before made (normalisation, activation, dropout) are drawn as labels in its box.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LABELS = frozenset(
    ["BN", "BNLL", "BatchNorm", "Bias", "Clip", "Dropout", "ELU", "LRN", "MVN", "PReLU", "ReLU",
     "Scale", "Sigmoid", "Swish", "TanH"]
)  # fmt: skip


@dataclass
class Box:
    """A layer, what it does in a few words, and the layers drawn as labels in it."""

    layer: Any
    what: str
    kind: str  # one of COLORS
    labels: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """`target` reads `blob`, which `source` made; both are indices of boxes."""

    source: int
    target: int
    blob: str


COLORS = {
    "pointwise convolution": "#cfe2f3",
    "spatial convolution": "#9fc5e8",
    "temporal convolution": "#f9cb9c",
    "convolution": "#b4a7d6",
    "pooling": "#ffe599",
    "sum, join": "#b6d7a8",
    "inner product": "#d5a6bd",
    "data": "#d9d9d9",
    "loss, output": "#ea9999",
    "other": "#f3f3f3",
}

_KINDS = {
    "pooling": "Pooling Pooling3D SPP",
    "sum, join": "Eltwise Concat Slice Split Crop",
    "inner product": "InnerProduct Embed LSTM RNN",
    "data": "Data DummyData HDF5Data ImageData Input MemoryData VideoData WindowData",
    "loss, output": "Accuracy ArgMax Softmax HDF5Output Silence",
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}


def boxes_and_lines(layers: Sequence[Any]) -> tuple[list[Box], list[Line]]:
    """Boxes in the order of the layers. A bottom that no layer makes gets no line."""
    readers = _count_readers(layers)
    boxes: list[Box] = []
    lines: list[Line] = []
    made: dict[str, tuple[int, int]] = {}  # blob -> (its layer, its box)
    for i, layer in enumerate(layers):
        source = made.get(layer.bottom[0]) if len(layer.bottom) == 1 else None
        if layer.type in LABELS and len(layer.top) == 1 and source and readers[source[0]] == 1:
            index = source[1]
            boxes[index].labels.append(layer)
        else:
            index = len(boxes)
            boxes.append(Box(layer, summary(layer), _kind(layer)))
            found = ((made[blob][1], blob) for blob in layer.bottom if blob in made)
            lines += [Line(box, index, blob) for box, blob in dict.fromkeys(found)]
        for blob in layer.top:
            made[blob] = (i, index)
    return boxes, lines


def _count_readers(layers: Sequence[Any]) -> Counter[int]:
    """How many bottoms each layer's tops serve."""
    readers: Counter[int] = Counter()
    made: dict[str, int] = {}
    for i, layer in enumerate(layers):
        readers.update(made[blob] for blob in layer.bottom if blob in made)
        made.update((blob, i) for blob in layer.top)
    return readers


def _kind(layer: Any) -> str:
    if layer.type in ("Convolution", "Deconvolution"):
        kernel = kernel_of(layer.convolution_param)
        if all(k == 1 for k in kernel):
            return "pointwise convolution"
        if len(kernel) == 3 and kernel[1:] == [1, 1]:
            return "temporal convolution"
        if len(kernel) == 3 and kernel[0] > 1:
            return "convolution"
        return "spatial convolution"
    if layer.type.endswith("Loss"):
        return "loss, output"
    return _KIND_OF.get(layer.type, "other")


def summary(layer: Any) -> str:
    """The kind of a layer and its main options: "Convolution 1x7x7, 64, stride 1x2x2"."""
    words = _OPTIONS[layer.type](layer) if layer.type in _OPTIONS else []
    first, *rest = [word for word in words if word] or [""]
    return ", ".join([f"{layer.type} {first}".strip(), *rest])


def kernel_of(param: Any) -> list[int]:
    """Kernel sizes of a ConvolutionParameter: one for all axes, or one per axis."""
    if param.HasField("kernel_h") or param.HasField("kernel_w"):
        return [param.kernel_h, param.kernel_w]
    return list(param.kernel_size)


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _convolution(layer: Any) -> list[str]:
    p = layer.convolution_param
    kernel = kernel_of(p)
    stride = [p.stride_h, p.stride_w] if p.HasField("stride_h") else list(p.stride)
    return [
        _times(kernel) if len(kernel) > 1 else f"kernel {kernel[0] if kernel else 1}",
        str(p.num_output),
        f"stride {_times(stride)}" if any(s != 1 for s in stride) else "",
        f"dilation {_times(p.dilation)}" if any(d != 1 for d in p.dilation) else "",
        f"{p.group} groups" if p.group != 1 else "",
    ]


def _pooling(layer: Any) -> list[str]:
    p = layer.pooling3d_param if layer.type == "Pooling3D" else layer.pooling_param
    pool = p.DESCRIPTOR.fields_by_name["pool"].enum_type.values_by_number[p.pool].name
    if p.global_pooling:
        return [pool, "global"]

    def axes(plane: str, prefix: str) -> list[int]:
        both = getattr(p, plane)
        h, w = (getattr(p, f"{prefix}_{axis}") or both for axis in "hw")
        return [getattr(p, f"{prefix}_l"), h, w] if layer.type == "Pooling3D" else [h, w]

    stride = axes("stride", "stride")
    return [
        f"{pool} {_times(axes('kernel_size', 'kernel'))}",
        f"stride {_times(stride)}" if any(s != 1 for s in stride) else "",
    ]


def _eltwise(layer: Any) -> list[str]:
    p = layer.eltwise_param
    operation = p.EltwiseOp.Name(p.operation)
    weights = [f"{c:g}" for c in p.coeff] if any(c != 1 for c in p.coeff) else []
    return [f"{operation} {' '.join(weights)}".strip()]


_OPTIONS: dict[str, Callable[[Any], list[str]]] = {
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "Pooling": _pooling,
    "Pooling3D": _pooling,
    "Eltwise": _eltwise,
    "InnerProduct": lambda layer: [str(layer.inner_product_param.num_output)],
    "Input": lambda layer: [_times(shape.dim) for shape in layer.input_param.shape],
    "Reshape": lambda layer: [" ".join(map(str, layer.reshape_param.shape.dim))],
    "Concat": lambda layer: [f"axis {layer.concat_param.axis}"],
    "Dropout": lambda layer: [f"{layer.dropout_param.dropout_ratio:g}"],
    "Python": lambda layer: [f"{layer.python_param.module}.{layer.python_param.layer}"],
    "Data": lambda layer: [f"batch {layer.data_param.batch_size}"],
}
