"""Convolution, Deconvolution, InnerProduct."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from p3d.export.graph import Graph, Value
from p3d.export.layer import Layer


class _Kernel(NamedTuple):
    """What all bottoms of a convolution share, per spatial axis."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    begin: list[int]
    end: list[int]

    def attributes(self, padded: bool) -> dict[str, list[int]]:
        pads = [*self.begin, *self.end]
        return {
            "kernel_shape": self.kernel,
            "strides": self.stride,
            "dilations": self.dilation,
            "pads": [0] * len(pads) if padded else pads,
        }

    def out(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        missing = self._missing(shape)
        return tuple(-m // stride + 1 for m, stride in zip(missing, self.stride, strict=True))

    def padded_for_one(self, shape: tuple[int, ...]) -> _Kernel:
        """With zeros behind an input that is smaller than the kernel by less than a stride, of
        which upstream makes one value."""
        end = [
            end + (missing if 0 < missing < stride else 0)
            for end, stride, missing in zip(
                self.end, self.stride, self._missing(shape), strict=True
            )
        ]
        return self._replace(end=end)

    def _missing(self, shape: tuple[int, ...]) -> list[int]:
        return [
            dilation * (kernel - 1) + 1 - size - begin - end
            for size, kernel, _, dilation, begin, end in zip(shape, *self, strict=True)
        ]

    def out_transposed(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(
            stride * (size - 1) + dilation * (kernel - 1) + 1 - begin - end
            for size, kernel, stride, dilation, begin, end in zip(shape, *self, strict=True)
        )


def convolution(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    kernel = _kernel(layer, bottoms[0])
    if layer.param["pad_mode"] != "REPLICATE":
        kernel = kernel.padded_for_one(bottoms[0].shape[2:])
    layer.check_windows(bottoms[0].shape, kernel.out(bottoms[0].shape[2:]))
    outputs, group = layer.param["num_output"], layer.param["group"]
    weights = _weights(graph, layer, (outputs, bottoms[0].shape[1] // group, *kernel.kernel))
    replicate = layer.param["pad_mode"] == "REPLICATE" and any(kernel.begin + kernel.end)
    tops = []
    for x in bottoms:
        shape = (x.shape[0], outputs, *kernel.out(x.shape[2:]))
        if replicate:
            x = _replicated(graph, layer, x, kernel)
        attributes = kernel.attributes(padded=replicate)
        tops.append(graph.node("Conv", layer.name, [x, *weights], shape, group=group, **attributes))
    return tops


def deconvolution(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    kernel = _kernel(layer, bottoms[0])
    if layer.param["pad_mode"] == "REPLICATE":
        raise layer.unsupported("pad_mode REPLICATE")
    layer.check_windows(bottoms[0].shape, kernel.out_transposed(bottoms[0].shape[2:]))
    outputs, group = layer.param["num_output"], layer.param["group"]
    weights = _weights(graph, layer, (bottoms[0].shape[1], outputs // group, *kernel.kernel))
    attributes = kernel.attributes(padded=False)
    return [
        graph.node(
            "ConvTranspose",
            layer.name,
            [x, *weights],
            (x.shape[0], outputs, *kernel.out_transposed(x.shape[2:])),
            group=group,
            **attributes,
        )
        for x in bottoms
    ]


def _kernel(layer: Layer, x: Value) -> _Kernel:
    if layer.axis(layer.param["axis"], x.shape) != 1:
        raise layer.unsupported(f"axis {layer.param['axis']}")
    axes = len(x.shape) - 2
    if layer.param["pad_begin"] or layer.param["pad_end"]:
        pads = [layer.per_axis(field, axes, 0) for field in ("pad_begin", "pad_end")]
    else:
        pads = [layer.per_axis("pad", axes, 0)] * 2
    return _Kernel(
        layer.per_axis("kernel_size", axes, None),
        layer.per_axis("stride", axes, 1),
        layer.per_axis("dilation", axes, 1),
        *pads,
    )


def _weights(graph: Graph, layer: Layer, shape: tuple[int, ...]) -> list[str]:
    names = [graph.constant(f"{layer.name}/0", layer.blob(0, shape))]
    if layer.param["bias_term"]:
        bias = layer.blob(1, (layer.param["num_output"],))
        names.append(graph.constant(f"{layer.name}/1", bias))
    return names


def _replicated(graph: Graph, layer: Layer, x: Value, kernel: _Kernel) -> Value:
    pads = np.array([0, 0, *kernel.begin, 0, 0, *kernel.end], np.int64)
    sizes = zip(x.shape[2:], kernel.begin, kernel.end, strict=True)
    shape = (*x.shape[:2], *(map(sum, sizes)))
    constant = graph.constant(f"{layer.name}/pads", pads)
    return graph.node("Pad", f"{layer.name}/pad", [x, constant], shape, mode="edge")


def inner_product(graph: Graph, layer: Layer, bottoms: list[Value]) -> list[Value]:
    x = bottoms[0]
    axis = layer.axis(layer.param["axis"], x.shape)
    outputs, transpose = layer.param["num_output"], layer.param["transpose"]
    inner, outer = math.prod(x.shape[axis:]), math.prod(x.shape[:axis])
    shape = (inner, outputs) if transpose else (outputs, inner)
    weights = _weights(graph, layer, shape)
    if x.shape != (outer, inner):
        x = graph.node("Flatten", f"{layer.name}/flat", [x], (outer, inner), axis=axis)
    y = graph.node("Gemm", layer.name, [x, *weights], (outer, outputs), transB=int(not transpose))
    top = (*bottoms[0].shape[:axis], outputs)
    return [graph.reshape(f"{layer.name}/top", y, top, keeps_batch=False)]
