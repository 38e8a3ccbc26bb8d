"""Layers that take values in the order in which they lie, which behind a convolution is another."""

from __future__ import annotations

import numpy as np
import pytest
from one_layer import normal
from plan_nets import conv, data, layer

import p3d.caffe as caffe

SHAPE = (2, 3, 2, 4, 5)
LAYERS = [
    *(("Tile", f"tile_param {{ axis: {axis} tiles: 3 }}") for axis in range(5)),
    *(("Reduction", f"reduction_param {{ axis: {axis} operation: {operation} }}")
      for axis in range(5) for operation in ("SUM", "ASUM", "SUMSQ", "MEAN")),
    *(("ArgMax", f"argmax_param {{ axis: {axis} top_k: 2 out_max_val: {value} }}")
      for axis in (1, 2) for value in ("true", "false")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "params"), LAYERS)
def test_behind_a_convolution(kind: str, params: str) -> None:
    """Values and gradients are those of the layer alone; Tile's gradient lies so too."""
    text = data(*SHAPE) + conv("x", "data", 6) + layer(kind, "y", "x", more=params)
    text += conv("end", "y", 2) if kind == "Tile" else layer("Power", "end", "y")
    net = caffe.Net("force_backward: true " + text, caffe.TRAIN)
    x = layer("Input", "x", "", more="input_param { shape { dim: 2 dim: 6 dim: 2 dim: 4 dim: 5 } }")
    alone = caffe.Net("force_backward: true " + x + layer(kind, "y", "x", more=params), caffe.TRAIN)

    net.blobs["data"].data[...] = normal(*SHAPE)
    net.forward()
    alone.blobs["x"].data[...] = net.blobs["x"].data
    alone.forward()
    near(net.blobs["y"].data, alone.blobs["y"].data)

    if kind == "ArgMax":
        return
    net.blobs["end"].diff[...] = normal(*net.blobs["end"].shape, seed=1)
    net.backward()
    alone.blobs["y"].diff[...] = net.blobs["y"].diff
    alone.backward()
    near(net.blobs["x"].diff, alone.blobs["x"].diff)


def near(got: np.ndarray, want: np.ndarray) -> None:
    assert got.shape == want.shape
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())
