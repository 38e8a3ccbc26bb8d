"""A layer as a converter sees it, and what converters ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from p3d.error import Error
from p3d.export.graph import Array, Shape


class Layer(NamedTuple):
    """One layer: its own *_param message with every default filled in, and its weights."""

    name: str
    type: str
    param: Mapping[str, Any]
    tops: list[str]
    weights: list[Array]

    def has(self, field: str) -> bool:
        """Whether the prototxt sets this field."""
        return field in self.param["has"]

    def blob(self, index: int, shape: Shape) -> Array:
        """A weight in the shape that the net needs; axes of extent 1 may come and go."""
        if index >= len(self.weights):
            raise Error(
                f"layer {self.name!r} ({self.type}) needs blob {index} of shape {shape}, but the "
                f"weights hold {len(self.weights)} blobs for it: are they this net's weights?"
            )
        array = self.weights[index]
        if [d for d in array.shape if d != 1] != [d for d in shape if d != 1]:
            raise Error(
                f"layer {self.name!r}: blob {index} has shape {tuple(array.shape)} in the "
                f"weights, the net needs {shape}"
            )
        return np.ascontiguousarray(array, np.float32).reshape(shape)

    def axis(self, axis: int, shape: Shape) -> int:
        """A possibly negative axis of a blob, counted from the front."""
        if not -len(shape) <= axis < len(shape):
            raise Error(f"layer {self.name!r}: axis {axis} of a blob with shape {shape}")
        return axis % len(shape)

    def per_axis(self, field: str, axes: int, default: int | None) -> list[int]:
        """A repeated field of a convolution as one number per spatial axis.

        It is given once for all axes, once per axis, or for h and w as `<field>_h`, `<field>_w`.
        """
        short = "kernel" if field == "kernel_size" else field
        if axes == 2 and self.has(f"{short}_h"):
            return [self.param[f"{short}_h"], self.param[f"{short}_w"]]
        given = self.param[field]
        if not given and default is not None:
            return [default] * axes
        if len(given) not in (1, axes):
            raise Error(
                f"layer {self.name!r}: {len(given)} values of {field} for {axes} spatial axes"
            )
        return list(given) * (axes if len(given) == 1 else 1)

    def check_windows(self, shape: Shape, out: Shape) -> None:
        """Raises p3d.Error where the windows make a top with an empty axis."""
        if min(out) < 1:
            raise Error(f"layer {self.name!r}: no window fits into a blob of shape {shape}")

    def unsupported(self, what: str) -> Error:
        return Error(f"layer {self.name!r} ({self.type}): {what} cannot be exported to ONNX")
