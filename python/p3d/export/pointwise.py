"""Normalisation, activations, sums: layers whose tops have the shape of their bottoms."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from p3d.export.graph import Array, Graph, Value
from p3d.export.layer import Layer


def bn(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    channels = (bottoms[0].shape[1],)
    blobs = [layer.blob(i, channels) for i in range(4)]
    return [_normalised(graph, layer, bottoms[0], blobs)]


def batch_norm(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    """Blobs: sums of means and of variances, and the number that divides both."""
    if layer.has("use_global_stats") and not layer.param["use_global_stats"]:
        raise layer.unsupported("use_global_stats: false")
    channels = (bottoms[0].shape[1],)
    count = float(layer.blob(2, (1,))[0])
    factor = np.float32(0 if count == 0 else 1 / count)
    mean, var = (layer.blob(i, channels) * factor for i in (0, 1))
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return [_normalised(graph, layer, bottoms[0], [ones, zeros, mean, var])]


def _normalised(graph: Graph, layer: Layer, x: Value, blobs: list[Array]) -> Value:
    names = [graph.constant(f"{layer.name}/{i}", array) for i, array in enumerate(blobs)]
    eps = layer.param["eps"]
    return graph.node("BatchNormalization", layer.name, [x, *names], x.shape, epsilon=eps)


def scale(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    learned = len(bottoms) == 1
    top = _broadcast(graph, layer, "Mul", bottoms, 0)
    if layer.param["bias_term"]:
        top = _broadcast(graph, layer, "Add", [top, *bottoms[1:]], int(learned), constant=True)
    return [top]


def bias(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    return [_broadcast(graph, layer, "Add", bottoms, 0)]


def _broadcast(
    graph: Graph, layer: Layer, op: str, bottoms: list[Value], index: int, constant: bool = False
) -> Value:
    """`op` of a blob and, spread over the axes it lacks, the second bottom or a weight."""
    x = bottoms[0]
    axis = layer.axis(layer.param["axis"], x.shape)
    if len(bottoms) > 1:
        inner = bottoms[1].shape
    else:
        axes = layer.param["num_axes"]
        inner = x.shape[axis:] if axes == -1 else x.shape[axis : axis + axes]
    behind = len(x.shape) - axis - len(inner)
    if len(bottoms) > 1 and not constant:
        other = _with_axes_behind(graph, layer, bottoms[1], behind)
    else:
        array = layer.blob(index, inner).reshape(*inner, *[1] * behind)
        other = graph.constant(f"{layer.name}/{index}", array)
    return graph.node(op, layer.name, [x, other], x.shape)


def _with_axes_behind(graph: Graph, layer: Layer, x: Value, count: int) -> Value | str:
    if not count:
        return x
    shape = (*x.shape, *[1] * count)
    axes = np.arange(len(x.shape), len(shape), dtype=np.int64)
    constant = graph.constant(f"{layer.name}/axes", axes)
    return graph.node("Unsqueeze", f"{layer.name}/spread", [x, constant], shape)


def eltwise(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    shape = bottoms[0].shape
    op = {"PROD": "Mul", "SUM": "Add", "MAX": "Max"}[layer.param["operation"]]
    coeff = layer.param["coeff"] if op == "Add" else []
    # One factor after the sum, where it is the same for all: runtimes fold that into the sum.
    common = coeff[0] if len(set(coeff)) == 1 else 1.0
    terms = bottoms
    if len(set(coeff)) > 1:
        terms = [_times(graph, layer, x, c) for x, c in zip(bottoms, coeff, strict=True)]
    top = reduce(lambda a, b: graph.node(op, layer.name, [a, b], shape), terms)
    return [_times(graph, layer, top, common)]


def _times(graph: Graph, layer: Layer, x: Value, factor: float) -> Value:
    return _with_scalar(graph, layer, "Mul", x, factor) if factor != 1 else x


def _with_scalar(graph: Graph, layer: Layer, op: str, x: Value, number: float) -> Value:
    constant = graph.constant(f"{layer.name}/{op}", np.array(number, np.float32))
    return graph.node(op, f"{layer.name}/{op}", [x, constant], x.shape)


def power(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    """(shift + scale x) ^ power"""
    x = _times(graph, layer, bottoms[0], layer.param["scale"])
    if layer.param["shift"] != 0:
        x = _with_scalar(graph, layer, "Add", x, layer.param["shift"])
    if layer.param["power"] != 1:
        x = _with_scalar(graph, layer, "Pow", x, layer.param["power"])
    return [x]


def prelu(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    x = bottoms[0]
    slopes = 1 if layer.param["channel_shared"] else x.shape[1]
    array = layer.blob(0, (slopes,)).reshape(slopes, *[1] * (len(x.shape) - 2))
    constant = graph.constant(f"{layer.name}/0", array)
    return [graph.node("PRelu", layer.name, [x, constant], x.shape)]


def swish(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    """x * sigmoid(beta x)"""
    x = bottoms[0]
    scaled = _times(graph, layer, x, layer.param["beta"])
    gate = graph.node("Sigmoid", f"{layer.name}/gate", [scaled], x.shape)
    return [graph.node("Mul", layer.name, [x, gate], x.shape)]


def clip(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    """max(min, min(x, max)): also where min > max."""
    x = _with_scalar(graph, layer, "Min", bottoms[0], layer.param["max"])
    return [_with_scalar(graph, layer, "Max", x, layer.param["min"])]


def relu(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    slope = layer.param["negative_slope"]
    op = "LeakyRelu" if slope else "Relu"
    attributes = {"alpha": slope} if slope else {}
    return [graph.node(op, layer.name, bottoms, bottoms[0].shape, **attributes)]


def softmax(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    axis = layer.axis(layer.param["axis"], bottoms[0].shape)
    return [graph.node("Softmax", layer.name, bottoms, bottoms[0].shape, axis=axis)]


def lrn(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    p = layer.param
    if p["norm_region"] != "ACROSS_CHANNELS":
        raise layer.unsupported(f"norm_region: {p['norm_region']}")
    attributes = {"size": p["local_size"], "alpha": p["alpha"], "beta": p["beta"], "bias": p["k"]}
    return [graph.node("LRN", layer.name, bottoms, bottoms[0].shape, **attributes)]


def unary(op: str, **fields: str) -> Callable[[Graph, Layer, list[Value]], list[Value]]:
    """A layer that is one node; `fields` names, per attribute, the field it comes from."""

    def convert(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
        attributes: dict[str, Any] = {name: layer.param[f] for name, f in fields.items()}
        return [graph.node(op, layer.name, bottoms, bottoms[0].shape, **attributes)]

    return convert
