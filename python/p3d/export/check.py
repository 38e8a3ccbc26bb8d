"""Compares an exported file in ONNX Runtime with the engine."""

from __future__ import annotations

import os

import numpy as np

from p3d.error import Error
from p3d.export.sources import Weights

TOLERANCE = 1e-4


def worst_difference(text: str, weights: Weights, path: str | os.PathLike[str]) -> float:
    """Over all outputs, the largest difference relative to the output's largest value."""
    try:
        import onnxruntime
    except ImportError as error:
        raise Error("checking needs the package onnxruntime: pip install onnxruntime") from error
    from p3d import caffe

    net = caffe.Net(text, caffe.TEST)
    for name, blobs in net.params.items():
        for blob, array in zip(blobs, weights.get(name, ()), strict=False):
            blob.data[...] = array.reshape(blob.data.shape)
    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.normal(0, 50, net.blobs[name].data.shape).astype(np.float32)
        for name in (i.name for i in session.get_inputs())
    }
    for name, clip in feeds.items():
        net.blobs[name].data[...] = clip
    net.forward()
    names = [output.name for output in session.get_outputs()]
    found = zip(names, session.run(names, feeds), strict=True)
    return max(_difference(array, net.blobs[name].data) for name, array in found)


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
