"""The net and the weights to export, from what a person names."""

from __future__ import annotations

import numpy as np

from p3d.export.graph import Array
from p3d.loading import find_net

Weights = dict[str, list[Array]]


def net_text(weights: str | None, net: str | None, **options: int) -> tuple[str, str]:
    """(what to call the net, its prototxt); see `find_net`."""
    from p3d.caffe.prototxt import read_text

    found = find_net(weights, net, **options)
    return found.name, read_text(net) if found.prototxt == net else found.prototxt


def read_weights(path: str) -> Weights:
    """Layer name -> blobs of a .caffemodel or .caffemodel.h5 file."""
    from p3d.caffe.weight_file import open_weights

    with open_weights(path) as file:
        return {
            name: [file.read(i, j) for j, shape in enumerate(shapes) if shape is not None]
            for i, (name, _, shapes) in enumerate(file.layers)
            if shapes
        }


def random_weights(text: str) -> Weights:
    """Weights that keep the net's numbers in range, as `p3d.random_weights` draws them."""
    from p3d import caffe
    from p3d.random_weights import fill

    net = caffe.Net(text, caffe.TEST)
    fill(net)
    return {name: [np.array(blob.data) for blob in blobs] for name, blobs in net.params.items()}
