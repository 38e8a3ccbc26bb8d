"""Single layers, exported and run by ONNX Runtime: Caffe's own numbers, and plain formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from recipe import GOLDEN, golden, normal_input

from p3d import Error
from p3d.caffe.prototxt import parse_net
from p3d.export.onnx import export

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

CASES = sorted(str(path.relative_to(GOLDEN))[:-4] for path in GOLDEN.glob("layers*/**/*.npz"))
NOT_EXPORTED = """
Accuracy ArgMax BatchReindex ContrastiveLoss Crop Embed EuclideanLoss Exp Filter HingeLoss Im2col
InfogainLoss LSTM LSTMUnit Log MVN MultinomialLogisticLoss Parameter RNN Reduction SPP
SigmoidCrossEntropyLoss SoftmaxWithLoss Threshold Tile
"""
# Parameters that ONNX has no words for.
NOT_SAID = {
    "layers_more/lrn_within": "norm_region: WITHIN_CHANNEL",
    "layers_more/pool2d_mask": "a second top",
    "layers_more/silence": "has no outputs",
}
LEAST = np.finfo(np.float32).min


def run(text, weights, inputs, tmp_path, **options):
    """The outputs of a net by name."""
    path = tmp_path / "net.onnx"
    export(parse_net(text), weights, path, **options)
    onnx.checker.check_model(str(path), full_check=True)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def close(found, expected, tolerance=1e-5):
    assert found.shape == expected.shape
    with np.errstate(invalid="ignore"):
        scale = max(np.abs(expected).max(), 1e-30)
        return np.abs(found.astype(np.float64) - expected).max() <= tolerance * scale


@pytest.mark.parametrize("case", CASES)
def test_golden(case, tmp_path):
    facts = golden(case)
    text = str(facts["prototxt"])
    (layer,) = [layer for layer in parse_net(text).layer if layer.name == "layer"]
    if layer.type in NOT_EXPORTED.split():
        with pytest.raises(Error, match=rf"cannot be exported to ONNX: {layer.type} \(layer\)"):
            run(text, {}, {}, tmp_path)
        return
    if case in NOT_SAID:
        with pytest.raises(Error, match=NOT_SAID[case]):
            run(text, {}, {}, tmp_path)
        return
    first = "pass0/" if "pass0/top0" in facts else ""
    tops = [facts[f"{first}top{i}"] for i in range(len(layer.top))]
    weights = {"layer": [facts[f"param{i}"] for i in range(int(facts["n_param"]))]}
    blobs = [facts[f"{first}bottom{i}"] for i in range(len(layer.bottom))]
    inputs = {f"b{i}": blob for i, blob in enumerate(blobs)}
    batch_statistics = layer.type in ("BN", "BatchNorm") and str(facts["phase"]) == "TRAIN"
    if batch_statistics and not layer.bn_param.frozen:
        pytest.skip("batch statistics belong to training")
    found = run(text, weights, inputs, tmp_path, dynamic=layer.type not in ("Reshape", "Slice"))
    for top, expected in zip(found.values(), tops, strict=True):
        assert close(top, expected)


def pooled(x, kernel, stride, pad, method, floor):
    """Caffe's pooling in plain loops over (N, C, spatial...)."""
    counts = []
    for size, k, s, p in zip(x.shape[2:], kernel, stride, pad, strict=True):
        count = (math.floor if floor else math.ceil)((size + 2 * p - k) / s) + 1
        counts.append(count - (any(pad) and (count - 1) * s >= size + p))
    out = np.zeros((*x.shape[:2], *counts), np.float64)
    for place in itertools.product(*map(range, counts)):
        window, divisor = [], 1
        for i, size, k, s, p in zip(place, x.shape[2:], kernel, stride, pad, strict=True):
            start = i * s - p
            divisor *= min(start + k, size + p) - start
            window.append(slice(max(start, 0), max(min(start + k, size), 0)))
        values = x[(slice(None), slice(None), *window)]
        axes = tuple(range(2, x.ndim))
        if method == "MAX":
            out[(..., *place)] = values.max(axes, initial=LEAST)
        else:
            out[(..., *place)] = values.sum(axes) / divisor
    return out


# Extents, kernel, stride, pad for l, h, w.
WINDOWS = [
    ((4, 7, 6), (2, 3, 3), (2, 2, 2), (0, 0, 0)),
    ((5, 7, 6), (3, 3, 2), (2, 2, 2), (1, 1, 1)),
    ((1, 9, 4), (2, 4, 4), (2, 3, 3), (0, 0, 0)),
    ((3, 5, 5), (1, 1, 1), (1, 3, 3), (0, 0, 0)),
    ((6, 4, 10), (2, 3, 5), (5, 3, 4), (1, 2, 4)),
    ((2, 8, 8), (1, 3, 3), (1, 2, 2), (0, 1, 0)),
    ((9, 2, 3), (4, 2, 2), (3, 1, 5), (3, 0, 1)),
]


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize("rounding", ["CEIL", "FLOOR"])
def test_pooling_windows(windows, method, rounding, tmp_path):
    extents, kernel, stride, pad = windows
    if rounding == "FLOOR" and extents[0] < kernel[0]:
        extents = (kernel[0], *extents[1:])
    shape = (2, 3, *extents)
    names = zip("lhw", kernel, stride, pad, strict=True)
    fields = " ".join(f"kernel_{a}: {k} stride_{a}: {s} pad_{a}: {p}" for a, k, s, p in names)
    text = net_of(
        shape,
        f'type: "Pooling3D" pooling3d_param {{ pool: {method} round_mode: {rounding} {fields} }}',
    )
    x = normal_input("pooling", shape)
    expected = pooled(x, kernel, stride, pad, method, rounding == "FLOOR")
    assert close(run(text, {}, {"x": x}, tmp_path)["y"], expected), text


def net_of(shape, layer, bottoms=("x",), tops=("y",)):
    dims = " ".join(f"dim: {d}" for d in shape)
    text = "".join(
        f'layer {{ name: "{b}" type: "Input" top: "{b}" input_param {{ shape {{ {dims} }} }} }}\n'
        for b in bottoms
    )
    wires = [f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in tops]
    return f'{text}layer {{ name: "layer" {" ".join(wires)} {layer} }}\n'


SHAPE = (2, 4, 3, 5, 6)
X = normal_input("layers", SHAPE)
SLOPES = np.linspace(-1, 1, 4, dtype=np.float32)

# Layer text -> what it computes from X.
FORMULAS = {
    'type: "ReLU" relu_param { negative_slope: 0.25 }': lambda x: np.where(x > 0, x, 0.25 * x),
    'type: "ELU" elu_param { alpha: 0.5 }': lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)),
    'type: "Sigmoid"': lambda x: 1 / (1 + np.exp(-x)),
    'type: "TanH"': np.tanh,
    'type: "AbsVal"': np.abs,
    'type: "BNLL"': lambda x: np.log1p(np.exp(x)),
    'type: "Swish" swish_param { beta: 2 }': lambda x: x / (1 + np.exp(-2 * x)),
    'type: "Clip" clip_param { min: -0.5 max: 1 }': lambda x: np.clip(x, -0.5, 1),
    'type: "Power" power_param { power: 2 scale: 0.5 shift: 3 }': lambda x: (0.5 * x + 3) ** 2,
    'type: "Power"': lambda x: x,
    'type: "Dropout" dropout_param { dropout_ratio: 0.9 }': lambda x: x,
    'type: "PReLU"': lambda x: np.where(x > 0, x, SLOPES[:, None, None, None] * x),
    'type: "Flatten" flatten_param { axis: 2 }': lambda x: x.reshape(2, 4, -1),
    'type: "Flatten" flatten_param { axis: 0 end_axis: 1 }': lambda x: x.reshape(8, 3, 5, 6),
    'type: "Reshape" reshape_param { shape { dim: -1 } axis: 1 num_axes: 2 }': lambda x: x.reshape(
        2, 12, 5, 6
    ),
    'type: "Reshape" reshape_param { shape { dim: -1 dim: 4 dim: 5 dim: 6 } }': lambda x: x.reshape(
        6, 4, 5, 6
    ),
    'type: "Reshape" reshape_param { shape { dim: 0 dim: 0 dim: -1 } }': lambda x: x.reshape(
        2, 4, 90
    ),
    'type: "Reshape" reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }': lambda x: x[
        ..., None
    ],
    'type: "Softmax" softmax_param { axis: -2 }': lambda x: (
        np.exp(x) / np.exp(x).sum(3, keepdims=True)
    ),
}


@pytest.mark.parametrize("layer", FORMULAS)
@pytest.mark.parametrize("dynamic", [True, False])
def test_formula(layer, dynamic, tmp_path):
    weights = {"layer": [SLOPES]} if "PReLU" in layer else {}
    found = run(net_of(SHAPE, layer), weights, {"x": X}, tmp_path, dynamic=dynamic)
    assert close(found["y"], FORMULAS[layer](X.astype(np.float64)))


def test_slice(tmp_path):
    text = net_of(
        SHAPE, 'type: "Slice" slice_param { axis: 3 slice_point: 1 slice_point: 3 }', tops="abc"
    )
    found = run(text, {}, {"x": X}, tmp_path)
    for name, part in zip("abc", np.split(X, [1, 3], axis=3), strict=True):
        np.testing.assert_array_equal(found[name], part)


@pytest.mark.parametrize("mode", ["ZERO", "REPLICATE"])
def test_convolution_with_padding_of_its_own_at_each_end(mode, tmp_path):
    param = (
        "num_output: 1 bias_term: false kernel_size: 3 kernel_size: 1 kernel_size: 1 "
        "pad_begin: 2 pad_begin: 0 pad_begin: 0 pad_end: 0 pad_end: 0 pad_end: 1"
    )
    text = net_of(SHAPE, f'type: "Convolution" convolution_param {{ {param} pad_mode: {mode} }}')
    w = normal_input("kernel", (1, 4, 3, 1, 1))
    pads = [(0, 0), (0, 0), (2, 0), (0, 0), (0, 1)]
    x = np.pad(X, pads, mode="edge" if mode == "REPLICATE" else "constant")
    expected = sum(
        np.einsum("ncl...,c->nl...", x[:, :, k : k + 3], w[0, :, k, 0, 0]) for k in range(3)
    )[:, None]
    found = run(text, {"layer": [w]}, {"x": X}, tmp_path)["y"]
    assert close(found, expected)


def test_scale_by_a_blob(tmp_path):
    """Squeeze and excitation: one factor per example and channel."""
    text = net_of(SHAPE, 'type: "Pooling3D" pooling3d_param { pool: AVE global_pooling: true }')
    text += 'layer { name: "f" type: "Flatten" bottom: "y" top: "f" }\n'
    text += (
        'layer { name: "s" type: "Scale" bottom: "x" bottom: "f" top: "s" scale_param { axis: 0 } }'
    )
    found = run(text, {}, {"x": X}, tmp_path)
    assert list(found) == ["s"]
    assert close(found["s"], X * X.mean((2, 3, 4), keepdims=True))


def test_blobs_that_layers_change_in_place_keep_their_name(tmp_path):
    text = net_of(SHAPE, 'type: "Power" power_param { shift: 1 }')
    text += 'layer { name: "r1" type: "ReLU" bottom: "y" top: "y" }\n'
    text += 'layer { name: "p" type: "Power" bottom: "y" top: "y" power_param { scale: 2 } }\n'
    text += 'layer { name: "d" type: "Dropout" bottom: "y" top: "y" }\n'
    text += 'layer { name: "e" type: "Eltwise" bottom: "y" bottom: "x" top: "e" }\n'
    found = run(text, {}, {"x": X}, tmp_path, blobs=["e", "y", "x"])
    y = 2 * np.maximum(X + 1, 0)
    assert close(found["y"], y)
    assert close(found["e"], y + X)
    np.testing.assert_array_equal(next(v for k, v in found.items() if k not in "ey"), X)


def test_layers_behind_the_wanted_blobs_do_not_matter(tmp_path):
    text = net_of(SHAPE, 'type: "ReLU"')
    text += 'layer { name: "odd" type: "ArgMax" bottom: "y" top: "odd" }\n'
    text += 'layer { name: "odder" type: "Python" bottom: "odd" top: "odder" }\n'
    assert close(run(text, {}, {"x": X}, tmp_path, blobs=["y"])["y"], np.maximum(X, 0))
    with pytest.raises(Error, match=r"ArgMax \(odd\), Python \(odder\)"):
        run(text, {}, {}, tmp_path)


CONVOLUTION = 'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }'


@pytest.mark.parametrize(
    ("layer", "weights", "message"),
    [
        (CONVOLUTION, {}, r"'layer' .Convolution. needs blob 0 of shape \(2, 4, 1, 1, 1\)"),
        (CONVOLUTION, {"layer": [np.zeros((2, 3, 1, 1, 1))]}, r"shape \(2, 3, 1, 1, 1\) in the w"),
        (CONVOLUTION, {"layer": [np.zeros((2, 4))]}, "needs blob 1"),
        (CONVOLUTION.replace("1 }", "1 axis: 2 }"), {}, "axis 2 cannot be exported"),
        (CONVOLUTION.replace("1 }", "1 axis: 9 }"), {}, "axis 9 of a blob"),
        ('type: "Pooling3D" pooling3d_param { pool: STOCHASTIC }', {}, "STOCHASTIC cannot be"),
        ('type: "Pooling3D" pooling3d_param { kernel_l: 1 }', {}, "kernel_h 0 cannot be"),
        (
            'type: "Pooling3D" pooling3d_param { kernel_size: 1 kernel_l: 9 round_mode: FLOOR }',
            {},
            "no window",
        ),
        (CONVOLUTION.replace("kernel_size: 1", "kernel_size: 4"), {}, "no window"),
        ('type: "Pooling" pooling_param { kernel_size: 2 }', {}, "a bottom of shape"),
        ('type: "Reshape" reshape_param { shape { dim: 7 } }', {}, "does not fit"),
        ('type: "Reshape" reshape_param { shape { dim: -1 dim: -1 } }', {}, "does not fit"),
        ('type: "Slice" slice_param { slice_point: 9 }', {}, "cuts at"),
        ('type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL }', {}, "WITHIN_CHANNEL cannot"),
        (
            'type: "BatchNorm" batch_norm_param { use_global_stats: false }',
            {},
            "use_global_stats: false cannot",
        ),
    ],
)
def test_what_cannot_be_said_in_onnx_is_named(layer, weights, message, tmp_path):
    with pytest.raises(Error, match=message):
        run(net_of(SHAPE, layer), weights, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_blob_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Error, match="no blob 'pool6'"):
        run(net_of(SHAPE, 'type: "ReLU"'), {}, {}, tmp_path, blobs=["pool6"])


def test_without_the_package_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(Error, match=r"pip install 'caffe-p3d\[onnx\]'"):
        export(parse_net(net_of(SHAPE, 'type: "ReLU"')), {}, tmp_path / "x.onnx")
