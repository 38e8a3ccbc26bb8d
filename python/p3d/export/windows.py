"""Caffe's pooling windows, said in the words of ONNX.

Caffe rounds the number of windows up, so the last one can stand over the edge. If any axis is
padded, a last window that would start beyond the data and its padding is dropped. MAX takes what
is inside; AVE divides by the part of the window inside data and padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """One pooled axis: its extent and its windows."""

    size: int
    kernel: int
    stride: int
    pad: int

    def count(self, floor: bool, any_pad: bool) -> int:
        """How many windows Caffe makes."""
        room = self.size + 2 * self.pad - self.kernel
        steps = room // self.stride if floor else -(-room // self.stride)
        if any_pad and steps * self.stride >= self.size + self.pad:
            steps -= 1
        return steps + 1

    def with_data(self, count: int) -> int:
        """How many of `count` windows start in or before the data; the others are behind it."""
        return min(count, (self.size + self.pad - 1) // self.stride + 1)

    def pad_end(self, count: int) -> int:
        """What must follow the data for the last of `count` windows to be whole."""
        return max(0, (count - 1) * self.stride + self.kernel - self.size - self.pad)

    def divisors(self, count: int) -> np.ndarray:
        """Per window, its extent inside data and padding."""
        start = np.arange(count) * self.stride - self.pad
        return np.minimum(start + self.kernel, self.size + self.pad) - start


def counts(axes: Sequence[Axis], floor: bool) -> tuple[int, ...]:
    any_pad = any(axis.pad for axis in axes)
    return tuple(axis.count(floor, any_pad) for axis in axes)


def overhangs(axes: Sequence[Axis], out: Sequence[int]) -> bool:
    """Whether a window reaches beyond the padding, so that windows differ in size."""
    return any(a.pad_end(n) > a.pad for a, n in zip(axes, out, strict=True))


def correction(axes: Sequence[Axis], out: Sequence[int]) -> np.ndarray:
    """(1, 1, out...): the whole window over the divisor that Caffe uses."""
    factor = np.ones((1, 1), np.float64)
    for axis, count in zip(axes, out, strict=True):
        factor = factor[..., None] * (axis.kernel / axis.divisors(count))
    return factor.astype(np.float32)
