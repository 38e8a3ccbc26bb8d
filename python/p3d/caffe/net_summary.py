"""What a prototxt describes: layers, shapes, work and parameters."""

from __future__ import annotations

import math
import os
from typing import Any

from . import net_file
from .proto.caffe_pb2 import TEST
from .pycaffe import Net
from .weight_writer import shared_params


def summarize_net(network: str | os.PathLike[str], phase: int = TEST) -> dict[str, Any]:
    """The net in a prototxt, a file or its text, as plain data.

    file, name, inputs, outputs
    layers       name, type, bottoms, tops, shapes (of the tops), params, macs
    params       values in all parameter blobs; one that is shared counts once
    macs         multiplications of one forward at the shapes of the prototxt
    problem      why there are no shapes, or None: the rest is then what the text says
    """
    message, origin = net_file.load(network)
    try:
        net = Net(message, phase)
    except RuntimeError as error:
        return _of_text(origin, message, str(error))
    shared = shared_params(net.param)
    layers = [_layer(net, i, shared) for i in range(len(net.layers))]
    return {
        "file": origin,
        "name": net.name,
        "inputs": {name: list(net.blobs[name].shape) for name in net.inputs},
        "outputs": {name: list(net.blobs[name].shape) for name in net.outputs},
        "layers": layers,
        "params": sum(layer["params"] for layer in layers),
        "macs": sum(layer["macs"] for layer in layers),
        "problem": None,
    }


def _layer(net: Net, index: int, shared: set[tuple[str, int]]) -> dict[str, Any]:
    layer = net.layers[index]
    own = [blob for j, blob in enumerate(layer.blobs) if (layer.name, j) not in shared]
    tops = [net._blob_names[i] for i in net._top_ids(index)]
    return {
        "name": layer.name,
        "type": layer.type,
        "bottoms": [net._blob_names[i] for i in net._bottom_ids(index)],
        "tops": tops,
        "shapes": [list(net.blobs[top].shape) for top in tops],
        "params": sum(math.prod(blob.shape) for blob in own),
        "macs": layer.macs,
    }


def _of_text(origin: str, message: Any, problem: str) -> dict[str, Any]:
    layers = [
        {
            "name": layer.name,
            "type": layer.type,
            "bottoms": list(layer.bottom),
            "tops": list(layer.top),
            "shapes": [],
            "params": None,
            "macs": None,
        }
        for layer in message.layer
    ]
    return {
        "file": origin,
        "name": message.name,
        "inputs": {},
        "outputs": {},
        "layers": layers,
        "params": None,
        "macs": None,
        "problem": problem,
    }
