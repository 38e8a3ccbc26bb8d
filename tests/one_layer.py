"""Nets of one layer, for the tests of layer types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import p3d.caffe as caffe


def net_of(
    layer: str,
    *shapes: Sequence[int],
    phase: int = caffe.TEST,
    tops: int = 1,
    in_place: bool = False,
) -> caffe.Net:
    """Inputs b0, b1... of these shapes and `layer` ('type: "ReLU" ...') that reads them and
    makes t0, t1..., or b0 where it works in place."""
    return caffe.Net(text_of(layer, *shapes, tops=tops, in_place=in_place), phase)


def text_of(layer: str, *shapes: Sequence[int], tops: int = 1, in_place: bool = False) -> str:
    """The prototxt of net_of."""
    text = ""
    for i, shape in enumerate(shapes):
        dims = " ".join(f"dim: {d}" for d in shape)
        text += (
            f'layer {{ name: "b{i}" type: "Input" top: "b{i}" '
            f"input_param {{ shape {{ {dims} }} }} }}\n"
        )
    ends = [f'bottom: "b{i}"' for i in range(len(shapes))]
    ends += ['top: "b0"'] if in_place else [f'top: "t{i}"' for i in range(tops)]
    return f'{text}layer {{ name: "layer" {" ".join(ends)} {layer} }}\n'


def run(net: caffe.Net, *bottoms: np.ndarray, params: Sequence[np.ndarray] = ()) -> np.ndarray:
    """The first top for these bottoms and parameters."""
    for i, value in enumerate(bottoms):
        net.blobs[f"b{i}"].data[...] = value
    for i, value in enumerate(params):
        net.params["layer"][i].data[...] = value
    net.forward()
    return np.array(net.blobs[net.outputs[0]].data)


def normal(*shape: int, seed: int = 1701) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
