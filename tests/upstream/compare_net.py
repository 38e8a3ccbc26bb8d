"""Compares a net in a real Caffe and in the embedded engine, layer by layer.

    python compare_net.py NET.prototxt KEY

Both get the weights and the noise of the golden data. Every layer runs in both on the blobs that
real Caffe made, and its tops are compared as it leaves them. Prints a JSON object: "layers", the
largest difference of each layer's tops, relative to the blob's largest value; "whole", that of each
output after a forward of the whole net from the input.
"""

from __future__ import annotations

import json
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np
from recipe import fill_params, normal_input

import p3d.caffe


def main(prototxt: str, key: str) -> None:
    real = caffe.Net(prototxt, caffe.TEST)
    ours = p3d.caffe.Net(prototxt, p3d.caffe.TEST)
    assert list(real._layer_names) == list(ours._layer_names)
    for name, blobs in real.params.items():
        for index, blob in enumerate(blobs):
            blob.data[...] = fill_params(name, index, tuple(blob.shape))
            ours.params[name][index].data[...] = blob.data
    (data,) = real.inputs
    clip = normal_input(key, tuple(real.blobs[data].shape), 50)
    real.blobs[data].data[...] = clip
    layers = compare_layers(real, ours)
    ours.forward(**{data: clip})
    assert ours.planned
    whole = {name: difference(ours, real, name) for name in real.outputs}
    print(json.dumps({"layers": layers, "whole": whole}))


def compare_layers(real: caffe.Net, ours: p3d.caffe.Net) -> dict[str, float]:
    worst = {}
    for index, name in enumerate(real._layer_names):
        for blob in real.bottom_names[name]:
            ours.blobs[blob].data[...] = real.blobs[blob].data
        if real.bottom_names[name]:
            real._forward(index, index)
            ours._forward(index, index)
            worst[name] = max(difference(ours, real, blob) for blob in real.top_names[name])
    return worst


def difference(ours: p3d.caffe.Net, real: caffe.Net, blob: str) -> float:
    got, want = ours.blobs[blob].data, real.blobs[blob].data
    assert got.shape == want.shape, f"{blob}: {got.shape}, real Caffe has {want.shape}"
    return float(np.abs(got - want).max() / (np.abs(want).max() or 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
