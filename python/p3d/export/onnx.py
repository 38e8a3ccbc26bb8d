"""Writes a net and its weights as an ONNX file (needs the extra `onnx`).

The file computes what the net computes in phase TEST. Tensors have the names of Caffe's blobs;
where layers work in place, the blob's name is that of the last value, and earlier ones have the
name of the layer that made them. BN stays a BatchNormalization of its own: runtimes fold it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from p3d.atomic import replacing
from p3d.error import Error
from p3d.export import onnx_file
from p3d.export.graph import Array, Graph, Node, Value
from p3d.export.layer import Layer
from p3d.export.table import TABLE

#: Read by ONNX Runtime since 1.12 and by OpenVINO since 2022.
OPSET, IR_VERSION = 16, 8

# One protobuf message cannot be longer.
_MAX_BYTES = (1 << 31) - (1 << 20)


def export(
    net: Any,
    weights: Mapping[str, Sequence[Array]],
    path: str | os.PathLike[str],
    *,
    blobs: Iterable[str] | None = None,
    dynamic: bool = True,
) -> None:
    """Writes `path`.

    net      a NetParameter (p3d.caffe.prototxt.read_net, parse_net)
    weights  layer name -> its blobs in Caffe's order; names that the net lacks are ignored
    blobs    the outputs; by default those that no layer reads
    dynamic  any batch size instead of the prototxt's

    Layers or weights that cannot be exported are a p3d.Error that names them all, or the first.
    """
    onnx = _import_onnx()
    graph, outputs = build(net, weights, blobs=blobs, dynamic=dynamic)
    size = sum(array.nbytes for array in graph.constants.values())
    if size > _MAX_BYTES:
        raise Error(f"{path}: an ONNX file holds less than 2 GiB, this net has {size >> 20} MiB")
    model = _model(onnx, graph, outputs, net.name or "net")
    with replacing(path) as file:
        onnx_file.write(file, model, graph.constants, onnx)


def build(
    net: Any,
    weights: Mapping[str, Sequence[Array]],
    *,
    blobs: Iterable[str] | None = None,
    dynamic: bool = True,
) -> tuple[Graph, list[Value]]:
    """The graph and its outputs; see `export`."""
    from p3d.caffe.proto import caffe_pb2
    from p3d.caffe.prototxt import describe, prepare

    layers, defaults = describe(prepare(net, caffe_pb2.TEST))
    wanted = list(blobs) if blobs is not None else _unread(layers)
    layers = _needed(layers, wanted)
    _check_types(layers)
    graph = Graph(dynamic)
    for described in layers:
        entry = TABLE[described["type"]]
        param = described["fields"].get(entry.field) or defaults.get(entry.field or "", {})
        blobs_of_layer = [np.asarray(a) for a in weights.get(described["name"], ())]
        layer = Layer(described["name"], described["type"], param, described["top"], blobs_of_layer)
        bottoms = [graph.blobs[name] for name in described["bottom"]]
        tops = entry.convert(graph, layer, bottoms)
        graph.blobs.update(zip(described["top"], tops, strict=True))
    return graph, graph.finish(wanted)


def _check_types(layers: list[dict[str, Any]]) -> None:
    strange: dict[str, list[str]] = {}
    for layer in layers:
        if layer["type"] not in TABLE:
            strange.setdefault(layer["type"], []).append(layer["name"])
    if strange:
        listed = ", ".join(f"{kind} ({', '.join(names[:3])})" for kind, names in strange.items())
        raise Error(
            f"these layers cannot be exported to ONNX: {listed}; take a deploy net, or ask for "
            "blobs in front of them"
        )


def _unread(layers: list[dict[str, Any]]) -> list[str]:
    """The net's outputs in Caffe's sense: tops that no later layer takes as a bottom."""
    open_tops: dict[str, None] = {}
    for layer in layers:
        for name in layer["bottom"]:
            open_tops.pop(name, None)
        open_tops.update(dict.fromkeys(layer["top"]))
    return list(open_tops)


def _needed(layers: list[dict[str, Any]], wanted: list[str]) -> list[dict[str, Any]]:
    """The layers that the wanted blobs depend on."""
    made = {name for layer in layers for name in layer["top"]}
    missing = [name for name in wanted if name not in made]
    if missing:
        raise Error(f"the net has no blob {', '.join(map(repr, missing))}")
    if not wanted:
        raise Error("the net has no outputs: name blobs")
    needed, kept = set(wanted), []
    for layer in reversed(layers):
        if needed.intersection(layer["top"]):
            needed.update(layer["bottom"])
            kept.append(layer)
    return kept[::-1]


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise Error("exporting needs the package onnx: pip install 'caffe-p3d[onnx]'") from error
    return onnx


def _model(onnx: Any, graph: Graph, outputs: list[Value], name: str) -> Any:
    from p3d import __version__

    h = onnx.helper
    batches = {value.shape[0] for value in graph.inputs if value.shape}
    proto = h.make_graph(
        [_node(onnx, node) for node in graph.nodes],
        name,
        [_info(onnx, value, graph.dynamic, batches) for value in graph.inputs],
        [_info(onnx, value, graph.dynamic, batches) for value in outputs],
    )
    return h.make_model(
        proto,
        producer_name="caffe-p3d",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[h.make_opsetid("", OPSET)],
    )


def _node(onnx: Any, node: Node) -> Any:
    return onnx.helper.make_node(
        node.op, node.inputs, node.output, name=node.output[0], **node.attributes
    )


def _info(onnx: Any, value: Value, dynamic: bool, batches: set[int]) -> Any:
    """Name, type and shape; an open axis 0 is called N where it is the inputs' batch."""
    shape: list[int | str | None] = list(value.shape)
    if dynamic and shape:
        shape[0] = "N" if value.shape[0] in batches and len(batches) == 1 else None
    return onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape)
