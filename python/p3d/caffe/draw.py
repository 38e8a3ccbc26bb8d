"""Pictures of nets: SVG by ourselves, other formats through pydot and graphviz.

draw_net_to_file(read_net("deploy.prototxt"), "net.svg", rankdir="TB")
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from p3d.atomic import replacing
from p3d.error import Error

from .net_boxes import kernel_of
from .net_graph import is_included
from .proto import caffe_pb2
from .svg import net_svg
from .upgrade_proto import upgrade_net

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_LEARNING = ("Convolution", "Deconvolution", "InnerProduct")


def draw_net(
    caffe_net: Any,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> bytes:
    """The picture of a NetParameter as the contents of a file of type `ext`.

    rankdir:     direction of flow: LR, RL, TB or BT
    phase:       TRAIN or TEST: only the layers of that phase
    display_lrm: write the learning rate multipliers (graphviz only)
    shapes:      shapes of blobs by name, such as blob_shapes(net) (SVG only)

    "svg" is drawn by p3d itself; the others need the package pydot and graphviz.
    """
    if rankdir not in ("LR", "RL", "TB", "BT"):
        raise Error(f"rankdir {rankdir!r} is not one of LR, RL, TB, BT")
    if ext == "svg":
        layers = _layers(caffe_net, phase)
        return net_svg(layers, caffe_net.name, rankdir, shapes).encode("utf-8")
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    try:
        return graph.create(format=ext)
    except FileNotFoundError as error:
        raise Error(
            f"a picture in the format '{ext}' needs graphviz, whose program dot is not there; "
            "take a name that ends in .svg, which needs nothing"
        ) from error


def draw_net_to_file(
    caffe_net: Any,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Writes the picture of a NetParameter; the end of the name says in which format."""
    ext = os.path.splitext(os.fspath(filename))[1].removeprefix(".").lower()
    picture = draw_net(caffe_net, rankdir, ext or "svg", phase, display_lrm, shapes)
    with replacing(filename) as file:
        file.write(picture)


def blob_shapes(net: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of all blobs of a Net, for the lines of a picture."""
    return {name: tuple(blob.shape) for name, blob in net.blobs.items()}


def get_pydot_graph(
    caffe_net: Any,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """A NetParameter as a pydot.Dot, with a node per layer and per blob."""
    pydot = _pydot()
    graph = pydot.Dot(caffe_net.name or "Net", graph_type="digraph", rankdir=rankdir)
    nodes: dict[str, Any] = {}
    edges = []
    for layer in _layers(caffe_net, phase):
        name = f"{layer.name}_{layer.type}"
        label = get_layer_label(layer, rankdir, display_lrm)
        if len(layer.bottom) == len(layer.top) == 1 and layer.bottom[0] == layer.top[0]:
            style = NEURON_LAYER_STYLE
        else:
            style = LAYER_STYLE_DEFAULT | {"fillcolor": choose_color_by_layertype(layer.type)}
        nodes[name] = pydot.Node(label, **style)
        for blob in (*layer.bottom, *layer.top):
            nodes.setdefault(f"{blob}_blob", pydot.Node(f'"{_escaped(blob)}"', **BLOB_STYLE))
        edges += [(f"{blob}_blob", name, '""') for blob in layer.bottom]
        edge_label = get_edge_label(layer) if label_edges else '""'
        edges += [(name, f"{blob}_blob", edge_label) for blob in layer.top]
    for node in nodes.values():
        graph.add_node(node)
    for source, target, label in edges:
        graph.add_edge(pydot.Edge(nodes[source], nodes[target], label=label))
    return graph


def get_pooling_types_dict() -> dict[int, str]:
    """Number of a pooling method -> its name."""
    return {number: name for name, number in caffe_pb2.PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: Any) -> str:
    """What stands at the line to a layer's top: batch size or number of outputs."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return '""'


def get_layer_lr_mult(layer: Any) -> tuple[float, float]:
    """Learning rate multipliers of weights and biases of a layer that learns both."""
    if layer.type not in _LEARNING:
        raise ValueError(f"{layer.type} layers do not have a learning rate multiplier")
    if len(layer.param) > 2:
        raise ValueError("Could not parse the learning rate multiplier")
    weights, bias, *_ = [*(spec.lr_mult for spec in layer.param), 1.0, 1.0]
    return weights, bias


def get_layer_label(layer: Any, rankdir: str, display_lrm: bool = False) -> str:
    """Name, kind, geometry and if wished learning rates of a layer, in quotes for graphviz."""
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    parts = [_escaped(layer.name), f"({_escaped(layer.type)})"]
    if layer.type in ("Pooling", "Pooling3D"):
        pool = layer.pooling_param if layer.type == "Pooling" else layer.pooling3d_param
        parts[1] = f"({layer.type} {get_pooling_types_dict()[pool.pool]})"
        sizes = {"kernel size": [pool.kernel_size], "stride": [pool.stride], "pad": [pool.pad]}
        if layer.type == "Pooling3D":
            lengths = (pool.kernel_l, pool.stride_l, pool.pad_l)
            for values, length in zip(sizes.values(), lengths, strict=True):
                values[:] = [length, values[0], values[0]]
    elif layer.type in ("Convolution", "Deconvolution"):
        conv = layer.convolution_param
        sizes = {
            "kernel size": kernel_of(conv) or [1],
            "stride": list(conv.stride) or [1],
            "pad": list(conv.pad) or [0],
        }
    else:
        sizes = {}
    if sizes:
        texts = (f"{word}: {'x'.join(map(str, values))}" for word, values in sizes.items())
        parts.append(separator.join(texts))
    if display_lrm and layer.type in _LEARNING:
        weights, bias = get_layer_lr_mult(layer)
        if weights or bias:
            parts.append(f"lr mult: {weights:.1f}, {bias:.1f}")
    return f'"{separator.join(parts)}"'


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer's node."""
    return {
        "Convolution": "#FF5050",
        "Deconvolution": "#FF5050",
        "Pooling": "#FF9900",
        "Pooling3D": "#FF9900",
        "InnerProduct": "#CC33FF",
    }.get(layertype, "#6495ED")


def _layers(caffe_net: Any, phase: int | None) -> list[Any]:
    """The layers of a net of any format that exist in `phase`, or all."""
    net = caffe_pb2.NetParameter()
    net.CopyFrom(caffe_net)
    upgrade_net(net, caffe_net.name or "the net")
    if phase is None:
        return list(net.layer)
    state = caffe_pb2.NetState(phase=phase)
    return [layer for layer in net.layer if is_included(layer, state, frozenset())]


def _pydot() -> Any:
    for name in ("pydot", "pydotplus"):
        try:
            return __import__(name)
        except ImportError:
            continue
    raise Error(
        "this picture needs the package pydot (pip install pydot) and graphviz; "
        "a file name that ends in .svg needs neither"
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
