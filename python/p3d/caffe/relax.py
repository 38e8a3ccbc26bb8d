"""Lets a net with a fixed Reshape run at other input sizes."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format

RELAXED = "shape { dim: -1 } axis: 1 num_axes: 2"
"""The reshape_param that joins the axes C and L."""


def relax_reshape(net: Any) -> list[str]:
    """Make Reshape layers with dims ``0, 0, H, W`` take H and W from their bottom.

    The released P3D nets go from (N, C, 1, H, W) to (N, C, H, W) with ``dim: 0 dim: 0
    dim: 10 dim: 10``, which fits inputs of 160x160 only. The same is said for any size by
    joining the axes C and L.

    Changes the NetParameter in place and returns the names of the changed layers.
    """
    changed = []
    for layer in net.layer:
        dims = list(layer.reshape_param.shape.dim) if layer.type == "Reshape" else []
        if len(dims) == 4 and dims[:2] == [0, 0] and min(dims[2:]) > 0:
            layer.reshape_param.Clear()
            text_format.Merge(RELAXED, layer.reshape_param)
            changed.append(layer.name)
    return changed
