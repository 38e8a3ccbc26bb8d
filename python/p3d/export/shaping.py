"""Layers that move numbers without computing: inputs, copies, reshapes, joins and cuts."""

from __future__ import annotations

import math

import numpy as np

from p3d.error import Error
from p3d.export.graph import Graph, Shape, Value
from p3d.export.layer import Layer


def inputs(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    shapes = [tuple(shape["dim"]) for shape in layer.param["shape"]]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    if len(shapes) != len(layer.tops) or not all(map(math.prod, shapes)):
        raise Error(f"layer {layer.name!r} (Input) needs a shape, without zeros, for each top")
    return [graph.input(top, shape) for top, shape in zip(layer.tops, shapes, strict=True)]


def copies(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    """Every top is the bottom itself: Split, and in phase TEST Dropout."""
    return bottoms[:1] * len(layer.tops)


def reshape(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    x, dims = bottoms[0], layer.param["shape"]["dim"]
    axis = layer.param["axis"]
    start = axis if axis >= 0 else axis + len(x.shape) + 1
    count = layer.param["num_axes"]
    end = len(x.shape) if count == -1 else start + count
    if not 0 <= start <= end <= len(x.shape):
        raise Error(f"layer {layer.name!r}: axis {axis}, num_axes {count} of shape {x.shape}")
    middle = _resolved(layer, x.shape, start, end, dims)
    keeps_batch = start > 0 or (bool(dims) and dims[0] == 0)
    shape = (*x.shape[:start], *middle, *x.shape[end:])
    return [graph.reshape(layer.name, x, shape, keeps_batch)]


def _resolved(layer: Layer, shape: Shape, start: int, end: int, dims: list[int]) -> list[int]:
    """The new axes with 0 (copied) and -1 (what is left) filled in."""
    fail = Error(f"layer {layer.name!r}: a blob of shape {shape} does not fit the dims {dims}")
    if start + len(dims) > len(shape) and 0 in dims[len(shape) - start :]:
        raise fail
    known = [shape[start + i] if dim == 0 else dim for i, dim in enumerate(dims)]
    values = math.prod(shape[start:end])
    rest = math.prod(dim for dim in known if dim != -1)
    filled = [values // rest if dim == -1 else dim for dim in known]
    if known.count(-1) > 1 or math.prod(filled) != values:
        raise fail
    return filled


def flatten(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    x = bottoms[0]
    start, end = (layer.axis(layer.param[f], x.shape) for f in ("axis", "end_axis"))
    shape = (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])
    return [graph.reshape(layer.name, x, shape, keeps_batch=start > 0)]


def concat(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    axis = _joint_axis(layer, bottoms[0].shape, "concat_dim")
    shape = list(bottoms[0].shape)
    shape[axis] = sum(x.shape[axis] for x in bottoms)
    return [graph.node("Concat", layer.name, bottoms, tuple(shape), axis=axis)]


def slice_(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    x = bottoms[0]
    axis = _joint_axis(layer, x.shape, "slice_dim")
    size, tops = x.shape[axis], len(layer.tops)
    if axis == 0 and graph.dynamic:
        raise layer.unsupported("a cut through a batch of any size")
    points = layer.param["slice_point"] or [size // tops * i for i in range(1, tops)]
    lengths = np.diff([0, *points, size])
    if len(lengths) != tops or (lengths < 1).any():
        raise Error(f"layer {layer.name!r}: cuts at {list(points)} of {size} for {tops} tops")
    shapes = [(*x.shape[:axis], int(n), *x.shape[axis + 1 :]) for n in lengths]
    constant = graph.constant(f"{layer.name}/lengths", lengths.astype(np.int64))
    return graph.nodes_output("Split", layer.name, [x, constant], shapes, axis=axis)


def _joint_axis(layer: Layer, shape: Shape, old: str) -> int:
    return layer.axis(layer.param[old if layer.has(old) else "axis"], shape)
