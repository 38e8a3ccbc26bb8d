"""Pictures of nets: our own SVG, and what is handed to graphviz."""

from __future__ import annotations

import itertools
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import p3d
from p3d.caffe import draw
from p3d.caffe.graph_layout import lay_out
from p3d.caffe.net_boxes import boxes_and_lines, summary
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.prototxt import parse_message, parse_net, read_net

PROTOTXT = Path(__file__).parents[2] / "prototxt"
SVG = "{http://www.w3.org/2000/svg}"

SMALL = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 4, 8, 8] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: [1, 3, 3] stride: [1, 2, 2] } }
layer { name: "bn" type: "BN" bottom: "conv" top: "bn" }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "pool" type: "Pooling3D" bottom: "bn" top: "pool"
  pooling3d_param { pool: AVE kernel_size: 3 kernel_l: 2 stride: 2 } include { phase: TEST } }
layer { name: "sum" type: "Eltwise" bottom: "bn" bottom: "bn" top: "sum"
  eltwise_param { coeff: 0.5 coeff: 0.5 } include { phase: TRAIN } }
"""


def parse(picture: bytes) -> ET.Element:
    root = ET.fromstring(picture)
    assert root.tag == SVG + "svg"
    return root


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(SVG + "text")]


def rectangles(root: ET.Element) -> list[tuple[float, float, float, float]]:
    """x, y, width, height of the boxes: the first rectangle of each group."""
    found = []
    for group in root.iter(SVG + "g"):
        rect = group.find(SVG + "rect")
        found.append(tuple(float(rect.get(k)) for k in ("x", "y", "width", "height")))
    return found


# ---------------------------------------------------------------- SVG


@pytest.mark.parametrize("name", ["p3d199-kinetics", "p3d63-kinetics-flow"])
@pytest.mark.parametrize("rankdir", ["TB", "LR", "BT", "RL"])
def test_pictures_of_p3d(name: str, rankdir: str) -> None:
    net = read_net(PROTOTXT / f"{name}.prototxt")
    root = parse(draw.draw_net(net, rankdir, "svg"))
    boxes = rectangles(root)
    drawn = texts(root)
    width, height = float(root.get("width")), float(root.get("height"))
    long, short = (height, width) if rankdir in ("TB", "BT") else (width, height)
    assert long > 5 * short
    assert short < 1500
    for layer in net.layer:
        if layer.type in ("Convolution", "Eltwise", "Pooling3D", "InnerProduct"):
            assert drawn.count(layer.name) == 1, layer.name
    assert len(boxes) == sum(layer.type not in ("BN", "ReLU", "Dropout") for layer in net.layer)
    assert drawn.count("BN") == sum(layer.type == "BN" for layer in net.layer)
    for x, y, w, h in boxes:
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
    assert not overlaps(boxes)


def overlaps(boxes: list[tuple[float, float, float, float]]) -> list[Any]:
    boxes = sorted(boxes, key=lambda box: box[1])
    found = []
    for i, (x, y, w, h) in enumerate(boxes):
        for other in boxes[i + 1 :]:
            if other[1] >= y + h:
                break
            if other[0] < x + w and x < other[0] + other[2]:
                found.append(((x, y, w, h), other))
    return found


def test_flow_of_the_picture() -> None:
    for rankdir, axis, sign in [("TB", 1, 1), ("BT", 1, -1), ("LR", 0, 1), ("RL", 0, -1)]:
        root = parse(draw.draw_net(parse_net(SMALL), rankdir, "svg", phase=caffe_pb2.TEST))
        places = [box[axis] * sign for box in rectangles(root)]
        assert places == sorted(places), rankdir
        assert len(places) == 3


def test_shapes_at_the_lines() -> None:
    shapes = {"data": (1, 3, 4, 8, 8), "conv": (1, 5, 4, 4, 4), "bn": np.array([1, 5, 4, 4, 4])}
    for rankdir in ("TB", "LR"):
        drawn = texts(parse(draw.draw_net(parse_net(SMALL), rankdir, "svg", shapes=shapes)))
        assert drawn.count("3x4x8x8") == 1
        assert drawn.count("5x4x4x4") == 1  # that of the blob that leaves the box


def test_shapes_of_a_net() -> None:
    class Blob:
        shape = (1, 2)

    class Net:
        blobs = {"a": Blob()}  # noqa: RUF012

    assert draw.blob_shapes(Net()) == {"a": (1, 2)}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a<b>&\"'c", "a<b>&\"'c"), ("wörter 词", "wörter 词"), ("x\\001\\033y", "x\ufffd\ufffdy"),
     ("n" * 100, "n" * 57 + "...")],
    ids=["markup", "unicode", "control", "long"],
)  # fmt: skip
def test_any_name(name: str, shown: str) -> None:
    escaped = name.replace('"', '\\"')
    net = parse_net(f'name: "{escaped}" layer {{ name: "{escaped}" type: "T" top: "{escaped}" }}')
    assert texts(parse(draw.draw_net(net, "TB", "svg"))).count(shown) == 2


def test_nets_of_any_kind() -> None:
    empty = parse(draw.draw_net(caffe_pb2.NetParameter(), "TB", "svg"))
    assert rectangles(empty) == []
    old = parse_message(
        'input: "data" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4'
        ' layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" }',
        caffe_pb2.NetParameter,
    )
    drawn = texts(parse(draw.draw_net(old, "TB", "svg")))
    assert {"c", "input", "Input 1x2x3x4"} <= set(drawn)
    assert len(old.layers) == 1, "draw_net changed its argument"
    loose = parse_net('layer { name: "r" type: "ReLU" bottom: "nowhere" top: "r" }')
    assert len(rectangles(parse(draw.draw_net(loose, "LR", "svg")))) == 1


# (layer, what is written in its box)
SUMMARIES = [
    ('type: "Convolution" convolution_param { num_output: 8 kernel_size: [1, 3, 3] }',
     "Convolution 1x3x3, 8"),
    ('type: "Convolution" convolution_param { num_output: 8 kernel_size: 3 group: 2 dilation: 2 }',
     "Convolution kernel 3, 8, dilation 2, 2 groups"),
    ('type: "Deconvolution" convolution_param { num_output: 8 kernel_h: 1 kernel_w: 2 stride_h: 2'
     " stride_w: 3 }", "Deconvolution 1x2, 8, stride 2x3"),
    ('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 }', "Pooling MAX 3x3, stride 2x2"),
    ('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', "Pooling AVE, global"),
    ('type: "Pooling3D" pooling3d_param { kernel_h: 3 kernel_w: 2 kernel_l: 1 stride_l: 2 }',
     "Pooling3D MAX 1x3x2, stride 2x1x1"),
    ('type: "Eltwise" eltwise_param { operation: MAX }', "Eltwise MAX"),
    ('type: "Eltwise" eltwise_param { coeff: 1 coeff: 1 }', "Eltwise SUM"),
    ('type: "Eltwise" eltwise_param { coeff: 1 coeff: -0.5 }', "Eltwise SUM 1 -0.5"),
    ('type: "InnerProduct" inner_product_param { num_output: 400 }', "InnerProduct 400"),
    ('type: "Reshape" reshape_param { shape { dim: [0, -1] } }', "Reshape 0 -1"),
    ('type: "Python" python_param { module: "m" layer: "L" }', "Python m.L"),
    ('type: "Softmax"', "Softmax"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "expected"), SUMMARIES)
def test_summary(layer: str, expected: str) -> None:
    assert summary(parse_net(f"layer {{ {layer} }}").layer[0]) == expected


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [("[1, 1, 1]", "pointwise convolution"), ("1", "pointwise convolution"),
     ("[3, 1, 1]", "temporal convolution"), ("[1, 3, 3]", "spatial convolution"),
     ("[3, 3]", "spatial convolution"), ("7", "spatial convolution"),
     ("[3, 3, 3]", "convolution"), ("[3, 1, 3]", "convolution")],
)  # fmt: skip
def test_colours_of_convolutions(kernel: str, kind: str) -> None:
    text = f'layer {{ type: "Convolution" convolution_param {{ kernel_size: {kernel} }} }}'
    assert boxes_and_lines(parse_net(text).layer)[0][0].kind == kind


def test_labels_only_where_nothing_else_reads() -> None:
    text = SMALL.replace('bottom: "bn" bottom: "bn" top: "sum"', 'bottom: "conv" top: "sum"')
    boxes, lines = boxes_and_lines(parse_net(text).layer)
    assert [box.layer.name for box in boxes] == ["data", "conv", "bn", "pool", "sum"]
    assert [label.name for label in boxes[2].labels] == ["relu"]
    assert [(line.source, line.target, line.blob) for line in lines] == [
        (0, 1, "data"), (1, 2, "conv"), (2, 3, "bn"), (1, 4, "conv"),
    ]  # fmt: skip


# ---------------------------------------------------------------- layout


@pytest.mark.parametrize("seed", range(30))
def test_layout_of_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    sizes = [(float(w), float(h)) for w, h in rng.integers(5, 200, (count, 2))]
    edges = [(int(rng.integers(0, j)), j) for j in range(1, count) for _ in range(rng.integers(4))]
    layout = lay_out(sizes, edges, 10, 20)
    boxes = [
        (a - w / 2 + 1e-6, b - h / 2 + 1e-6, w - 2e-6, h - 2e-6)
        for (a, b), (w, h) in zip(layout.boxes, sizes, strict=True)
    ]
    assert not overlaps(boxes), seed
    for (source, target), line in zip(edges, layout.lines, strict=True):
        assert layout.boxes[source][1] < layout.boxes[target][1]
        assert (line[0], line[-1]) == (layout.boxes[source], layout.boxes[target])
        assert all(a[1] < b[1] for a, b in itertools.pairwise(line))
    assert all(x >= 0 and x + w <= layout.across + 1e-3 for x, _, w, _ in boxes)
    assert all(y >= 0 and y + h <= layout.along + 1e-3 for _, y, _, h in boxes)


def test_layout_of_a_chain_is_straight() -> None:
    layout = lay_out([(10, 5), (30, 5), (20, 5)], [(0, 1), (1, 2)], 10, 20)
    assert {round(across, 3) for across, _ in layout.boxes} == {15}
    assert [along for _, along in layout.boxes] == [2.5, 27.5, 52.5]
    assert lay_out([], [], 1, 1).boxes == []


def test_layout_of_very_many_long_lines_stays_small() -> None:
    count = 600
    edges = [(i, j) for i in range(0, count, 7) for j in range(i + 1, count, 5)]
    edges += [(i, i + 1) for i in range(count - 1)]
    layout = lay_out([(10.0, 10.0)] * count, edges, 5, 5)
    assert sum(map(len, layout.lines)) < 20_000 + 2 * len(edges) + 1


# ---------------------------------------------------------------- pycaffe's names


def layer_of(text: str) -> Any:
    return parse_net(f"layer {{ {text} }}").layer[0]


CONV = 'name: "c" type: "Convolution" convolution_param { num_output: 4 kernel_size: 3 pad: 1 }'


def test_labels_for_graphviz() -> None:
    label = draw.get_layer_label
    assert label(layer_of(CONV), "TB") == '"c (Convolution) kernel size: 3 stride: 1 pad: 1"'
    assert label(layer_of(CONV), "LR") == r'"c\n(Convolution)\nkernel size: 3\nstride: 1\npad: 1"'
    pool = 'name: "p" type: "Pooling" pooling_param { pool: AVE kernel_size: 2 stride: 2 }'
    assert label(layer_of(pool), "TB") == '"p (Pooling AVE) kernel size: 2 stride: 2 pad: 0"'
    pool = 'name: "p" type: "Pooling3D" pooling3d_param { kernel_size: 2 kernel_l: 1 pad_l: 3 }'
    expected = '"p (Pooling3D MAX) kernel size: 1x2x2 stride: 1x1x1 pad: 3x0x0"'
    assert label(layer_of(pool), "TB") == expected
    with_rates = label(layer_of(CONV + " param { lr_mult: 2 }"), "TB", display_lrm=True)
    assert with_rates.endswith('lr mult: 2.0, 1.0"')
    assert label(layer_of('name: "a\\"b" type: "ReLU"'), "TB") == '"a\\"b (ReLU)"'


def test_small_helpers() -> None:
    assert draw.get_pooling_types_dict() == {0: "MAX", 1: "AVE", 2: "STOCHASTIC"}
    assert draw.get_edge_label(layer_of(CONV)) == "4"
    assert draw.get_edge_label(layer_of('type: "Data" data_param { batch_size: 9 }')) == "Batch 9"
    inner = 'type: "InnerProduct" inner_product_param { num_output: 7 }'
    assert draw.get_edge_label(layer_of(inner)) == "7"
    assert draw.get_edge_label(layer_of('type: "ReLU"')) == '""'
    assert draw.choose_color_by_layertype("Convolution") == "#FF5050"
    assert draw.choose_color_by_layertype("Pooling3D") == "#FF9900"
    assert draw.choose_color_by_layertype("BN") == "#6495ED"


@pytest.mark.parametrize(
    ("params", "expected"),
    [("", (1, 1)), ("param { lr_mult: 3 }", (3, 1)), ("param { lr_mult: 3 } param { }", (3, 1)),
     ("param { } param { lr_mult: 0 }", (1, 0))],
)  # fmt: skip
def test_learning_rates(params: str, expected: tuple[float, float]) -> None:
    assert draw.get_layer_lr_mult(layer_of(CONV + params)) == expected
    for text in (CONV + "param { } param { } param { }", 'type: "ReLU"'):
        with pytest.raises(ValueError, match="learning rate multiplier"):
            draw.get_layer_lr_mult(layer_of(text))


@pytest.fixture
def fake_pydot(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydot as far as it is used: a graph that remembers what it was given."""

    class Dot(types.SimpleNamespace):
        def __init__(self, name: str, **options: str) -> None:
            super().__init__(name=name, options=options, nodes=[], edges=[])

        def add_node(self, node: Any) -> None:
            self.nodes.append(node)

        def add_edge(self, edge: Any) -> None:
            self.edges.append(edge)

        def create(self, format: str) -> bytes:
            return f"{format} of {len(self.nodes)} nodes".encode()

    module = types.ModuleType("pydot")
    module.Dot = Dot
    module.Node = lambda name, **style: types.SimpleNamespace(name=name, style=style)
    module.Edge = lambda a, b, label: (a.name, b.name, label)
    monkeypatch.setitem(sys.modules, "pydot", module)


@pytest.mark.usefixtures("fake_pydot")
def test_pydot_graph() -> None:
    graph = draw.get_pydot_graph(parse_net(SMALL), "TB", phase=caffe_pb2.TEST)
    assert (graph.name, graph.options) == ("small", {"graph_type": "digraph", "rankdir": "TB"})
    bn, pool = '"bn (BN)"', '"pool (Pooling3D AVE) kernel size: 2x3x3 stride: 1x2x2 pad: 0x0x0"'
    conv = '"conv (Convolution) kernel size: 1x3x3 stride: 1x2x2 pad: 0"'
    assert graph.edges == [
        ('"data (Input)"', '"data"', '""'),
        ('"data"', conv, '""'), (conv, '"conv"', "5"),
        ('"conv"', bn, '""'), (bn, '"bn"', '""'),
        ('"bn"', '"relu (ReLU)"', '""'), ('"relu (ReLU)"', '"bn"', '""'),
        ('"bn"', pool, '""'), (pool, '"pool"', '""'),
    ]  # fmt: skip
    assert len(graph.nodes) == 9
    styles = {node.name: node.style["fillcolor"] for node in graph.nodes}
    assert styles['"relu (ReLU)"'] == draw.NEURON_LAYER_STYLE["fillcolor"]
    assert styles[conv] == "#FF5050"
    assert draw.draw_net(parse_net(SMALL), "LR") == b"png of 11 nodes"
    assert draw.LAYER_STYLE_DEFAULT["fillcolor"] == "#6495ED", "a shared style was changed"


@pytest.mark.usefixtures("fake_pydot")
def test_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(graph: Any, format: str) -> bytes:
        raise FileNotFoundError(2, '"dot" not found in path.')

    monkeypatch.setattr(sys.modules["pydot"].Dot, "create", create)
    with pytest.raises(p3d.Error, match=r"'png' needs graphviz.*\.svg"):
        draw.draw_net(parse_net(SMALL), "LR")


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.SVG"
    draw.draw_net_to_file(parse_net(SMALL), path)
    assert texts(parse(path.read_bytes()))[0] == "small"
    monkeypatch.setitem(sys.modules, "pydot", None)
    monkeypatch.setitem(sys.modules, "pydotplus", None)
    with pytest.raises(p3d.Error, match=r"pydot.*\.svg"):
        draw.draw_net_to_file(parse_net(SMALL), str(tmp_path / "net.png"))
    with pytest.raises(p3d.Error, match="rankdir 'UP'"):
        draw.draw_net(parse_net(SMALL), "UP", "svg")
    assert [p.name for p in tmp_path.iterdir()] == ["net.SVG"]
