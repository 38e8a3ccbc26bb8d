"""Windows of convolutions and poolings; a `param` is a message of p3d.caffe.prototxt.describe."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple


class Axis(NamedTuple):
    kernel: int
    stride: int
    pad: int
    dilation: int

    def out(self, size: int) -> int:
        """How many windows fit."""
        reach = self.dilation * (self.kernel - 1) + 1
        return (size + 2 * self.pad - reach) // self.stride + 1

    def products(self, size: int) -> int:
        """Over all windows, the taps that meet data and not padding."""
        starts = (i * self.stride - self.pad for i in range(self.out(size)))
        return sum(
            0 <= start + tap * self.dilation < size
            for start in starts
            for tap in range(self.kernel)
        )


def conv_axes(param: dict[str, Any], axes: int) -> list[Axis]:
    """The axes of a convolution_param over `axes` spatial axes."""
    if param["pad_begin"] or param["pad_end"]:
        raise NotImplementedError("padding that differs at both ends")

    def each(name: str, short: str, default: int) -> list[int]:
        if axes == 2 and f"{short}_h" in param["has"]:
            return [param[f"{short}_h"], param[f"{short}_w"]]
        values = param[name] or [default]
        return values * axes if len(values) == 1 else values

    columns = (
        each("kernel_size", "kernel", 0),
        each("stride", "stride", 1),
        each("pad", "pad", 0),
        each("dilation", "dilation", 1),
    )
    return [Axis(*row) for row in zip(*columns, strict=True)]


def conv_products(param: dict[str, Any], shape: Sequence[int]) -> tuple[int, int]:
    """Products of a convolution of a blob of this shape: all, and those without padding."""
    axes = conv_axes(param, len(shape) - 2)
    channels = shape[0] * param["num_output"] * shape[1] // param["group"]
    sized = list(zip(axes, shape[2:], strict=True))
    return (
        channels * prod(axis.out(size) * axis.kernel for axis, size in sized),
        channels * prod(axis.products(size) for axis, size in sized),
    )


def pool_windows(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    ceil: bool,
) -> list[int]:
    """How many windows Caffe pools along each axis: rounded up, and in a padded layer without
    those that start behind the data and its padding."""
    counts = []
    for size, k, s, p in zip(sizes, kernel, stride, pad, strict=True):
        room = size + 2 * p - k
        count = (-(-room // s) if ceil else room // s) + 1
        if any(pad) and (count - 1) * s >= size + p:
            count -= 1
        counts.append(count)
    return counts
