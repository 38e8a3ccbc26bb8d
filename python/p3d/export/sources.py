"""The net and the weights to export, from what a person names."""

from __future__ import annotations

import os

import numpy as np

from p3d import models
from p3d.error import Error
from p3d.export.graph import Array

Weights = dict[str, list[Array]]


def net_text(weights: str | None, net: str | None, **options: int) -> tuple[str, str]:
    """(what to call the net, its prototxt).

    net      a name of `p3d.models` or a prototxt file; None takes the net that the weights fit
    options  crop, length, batch of a net of `p3d.models`
    """
    if net is not None and net not in models.names():
        return _file_text(net, options)
    fit = None if weights is None else models.fit(_shapes(weights))
    if net is not None and (fit is None or fit.name != net):
        return net, models.prototxt(net, **options)
    if fit is not None:
        return str(fit), models.prototxt(fit.name, **(fit.options() | options))
    if weights is None:
        raise Error("name the weights or the net to export")
    near, differences = models.nearest(_shapes(weights))
    raise Error(
        f"{weights}: these weights fit no known net ({near} is nearest: {differences[0]}); name "
        "their prototxt: --net deploy.prototxt"
    )


def _file_text(path: str, options: dict[str, int]) -> tuple[str, str]:
    from p3d.caffe.prototxt import read_text

    if not os.path.exists(path):
        raise Error(f"{path}: no such prototxt, and no net of that name ({_names()})")
    if options:
        raise Error(f"{path} states its own input: change it there instead of by {_list(options)}")
    return path, read_text(path)


def _names() -> str:
    return ", ".join(models.names())


def _list(options: dict[str, int]) -> str:
    return ", ".join(f"--{option}" for option in options)


def _shapes(weights: str) -> list[tuple[str, list[tuple[int, ...] | None]]]:
    from p3d.caffe.weight_file import open_weights

    with open_weights(weights) as file:
        return [(name, shapes) for name, _, shapes in file.layers]


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
