"""Weights without training, from a fixed seed: for demonstrations and measurements.

Values neither grow nor fade on their way through the layers (fillers meant for training, gaussian
with 0.001, would end in denormal numbers, which are slow), and P3D's classes do not saturate.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

SEED = 1701

_MEAN, _VARIANCE, _SCALE, _SHIFT = (-0.1, 0.1), (0.5, 1.5), (0.8, 1.2), (-0.1, 0.1)
_UNIFORM = {
    "BN": (_SCALE, _SHIFT, _MEAN, _VARIANCE),
    "BatchNorm": (_MEAN, _VARIANCE, (1.0, 1.0)),
    "Scale": (_SCALE, _SHIFT),
}
_DENSE = {"Convolution", "Convolution3D", "Deconvolution", "InnerProduct"}


def fill(net: Any) -> None:
    """Fills a net of the pycaffe interface; layers of other kinds keep what their fillers gave."""
    for name, blobs in _Drawn(net).items():
        for blob, drawn in zip(net.params[name], blobs, strict=True):
            if drawn is not blob:
                blob.data[...] = drawn.data


def write(net: Any, path: str | os.PathLike[str]) -> None:
    """The .caffemodel that `fill` and `net.save` would give; the net keeps what it has."""
    from p3d.caffe import weight_writer

    weight_writer.save(net.param, _Drawn(net), path)


class _Drawn(Mapping[str, list[Any]]):
    """Layer name -> its blobs, drawn when they are asked for: one layer is in memory at a time."""

    def __init__(self, net: Any) -> None:
        self._net = net

    def __getitem__(self, name: str) -> list[Any]:
        blobs = self._net.params[name]
        kind = self._net.layer_dict[name].type
        if kind not in _UNIFORM and kind not in _DENSE:
            return list(blobs)
        shapes = [tuple(blob.shape) for blob in blobs]
        return [
            SimpleNamespace(shape=shape, data=draw(kind, name, index, shape))
            for index, shape in enumerate(shapes)
        ]

    def __iter__(self) -> Iterator[str]:
        return iter(self._net.params)

    def __len__(self) -> int:
        return len(self._net.params)


def draw(kind: str, layer: str, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Blob `index` of a layer of type `kind`.

    Weights of convolutions are normal with variance 2 / fan-in, those of classifiers with
    deviation 0.01, biases are 0. The scale of the BN that end a branch of P3D is small, so that
    the sums of 50 residual units stay in range.
    """
    rng = np.random.default_rng([SEED, zlib.crc32(layer.encode()), index])
    if kind in _UNIFORM:
        values = rng.uniform(*_UNIFORM[kind][index], shape).astype(np.float32)
        return values * np.float32(_slope(layer)) if kind == "BN" and index == 0 else values
    if index > 0:
        return np.zeros(shape, np.float32)
    deviation = 0.01 if kind == "InnerProduct" else np.sqrt(2 / np.prod(shape[1:]))
    return rng.standard_normal(shape, np.float32) * np.float32(deviation)


def _slope(layer: str) -> float:
    if layer == "bn_conv1":
        return 0.02  # pixels are two orders larger than activations
    return {"branch2c": 0.2, "branch1": 0.4}.get(layer.rpartition("_")[2], 1.0)
