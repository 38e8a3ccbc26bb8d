"""Pooling and Pooling3D."""

from __future__ import annotations

import numpy as np

from p3d.export.graph import Graph, Value
from p3d.export.layer import Layer
from p3d.export.windows import Axis, correction, counts, overhangs

# What Caffe starts a maximum from, and so the value of a window without data.
_LEAST = float(np.finfo(np.float32).min)


def pooling(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    x, method = bottoms[0], layer.param["pool"]
    if method not in ("MAX", "AVE"):
        raise layer.unsupported(f"pool: {method}")
    if len(layer.tops) > 1:
        raise layer.unsupported("a second top (the places of the maxima)")
    kind = "MaxPool" if method == "MAX" else "AveragePool"
    if layer.param["global_pooling"]:
        shape = (*x.shape[:2], *[1] * (len(x.shape) - 2))
        return [graph.node(f"Global{kind}", layer.name, [x], shape)]
    axes = _axes(layer, x)
    out = counts(axes, floor=layer.param["round_mode"] == "FLOOR")
    layer.check_windows(x.shape, out)
    inside = tuple(a.with_data(n) for a, n in zip(axes, out, strict=True))
    y = _windows(graph, layer, x, axes, inside)
    if inside != out:  # runtimes refuse windows without data
        missing = [n - m for n, m in zip(out, inside, strict=True)]
        y = _extended(graph, layer, y, missing, _LEAST if method == "MAX" else 0.0)
    return [y]


def _windows(graph: Graph, layer: Layer, x: Value, axes: list[Axis], out: tuple[int, ...]) -> Value:
    """ONNX averages over the whole window or over the data in it; in Caffe padding counts, and
    what stands over the padding does not."""
    pads = [*(a.pad for a in axes), *(a.pad_end(n) for a, n in zip(axes, out, strict=True))]
    attributes = {
        "kernel_shape": [a.kernel for a in axes],
        "strides": [a.stride for a in axes],
        "pads": pads,
    }
    shape = (*x.shape[:2], *out)
    if layer.param["pool"] == "MAX":
        return graph.node("MaxPool", layer.name, [x], shape, **attributes)
    differ = overhangs(axes, out)
    data_only = differ and not any(axis.pad for axis in axes)
    include = int(not data_only)
    y = graph.node("AveragePool", layer.name, [x], shape, count_include_pad=include, **attributes)
    if not differ or data_only:
        return y
    factor = graph.constant(f"{layer.name}/windows", correction(axes, out))
    return graph.node("Mul", f"{layer.name}/scaled", [y, factor], shape)


def _extended(graph: Graph, layer: Layer, x: Value, behind: list[int], value: float) -> Value:
    """`value` in so many more places behind each spatial axis."""
    zeros = [0] * (len(behind) + 2)
    amount = graph.constant(f"{layer.name}/missing", np.array([*zeros, 0, 0, *behind], np.int64))
    filler = graph.constant(f"{layer.name}/empty", np.array(value, np.float32))
    shape = (*x.shape[:2], *(n + m for n, m in zip(x.shape[2:], behind, strict=True)))
    return graph.node("Pad", f"{layer.name}/all", [x, amount, filler], shape)


def _axes(layer: Layer, x: Value) -> list[Axis]:
    names = ("l", "h", "w") if layer.type == "Pooling3D" else ("h", "w")
    if len(x.shape) != len(names) + 2:
        raise layer.unsupported(f"a bottom of shape {x.shape}")
    sizes = zip(names, x.shape[2:], strict=True)
    return [
        Axis(size, _field(layer, "kernel", a), _field(layer, "stride", a), _field(layer, "pad", a))
        for a, size in sizes
    ]


def _field(layer: Layer, field: str, axis: str) -> int:
    """kernel_size, stride or pad of an axis: its own field, or, for h and w, the shared one."""
    own = f"{field}_{axis}"
    shared = "kernel_size" if field == "kernel" else field
    value: int = layer.param[own if axis == "l" or layer.has(own) else shared]
    if field != "pad" and value < 1:
        raise layer.unsupported(f"{own} {value}")
    return value
