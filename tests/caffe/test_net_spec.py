"""Nets written in Python: names, order, options and errors."""

# ruff: noqa: C408  (dict() is how nets are written)
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from p3d.caffe.net_spec import NetSpec, Top, param_name_dict, to_proto
from p3d.caffe.net_spec import layers as L
from p3d.caffe.net_spec import params as P
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.prototxt import parse_net, prepare


def wiring(net: Any) -> list[tuple[str, str, list[str], list[str]]]:
    return [(layer.name, layer.type, list(layer.bottom), list(layer.top)) for layer in net.layer]


def test_named_net() -> None:
    n = NetSpec()
    n.data, n.label = L.DummyData(shape=[dict(dim=[2, 3]), dict(dim=[2])], ntop=2)
    n.ip = L.InnerProduct(n.data, num_output=4)
    n.relu = L.ReLU(n.ip, in_place=True)
    n["loss"] = L.SoftmaxWithLoss(n.relu, n["label"], loss_weight=2)
    n.nothing = L.Silence(n.label, ntop=0)
    assert wiring(n.to_proto()) == [
        ("data", "DummyData", [], ["data", "label"]),
        ("ip", "InnerProduct", ["data"], ["ip"]),
        ("relu", "ReLU", ["ip"], ["ip"]),
        ("loss", "SoftmaxWithLoss", ["ip", "label"], ["loss"]),
        ("nothing", "Silence", ["label"], []),
    ]
    assert list(n.to_proto().layer[3].loss_weight) == [2]


def test_unnamed_net() -> None:
    data, label = L.DummyData(ntop=2)
    first = L.ReLU(data)
    loss = L.EuclideanLoss(L.ReLU(first), label)
    expected = [
        ("DummyData1", "DummyData", [], ["DummyData1", "DummyData2"]),
        ("ReLU1", "ReLU", ["DummyData1"], ["ReLU1"]),
        ("ReLU2", "ReLU", ["ReLU1"], ["ReLU2"]),
        ("EuclideanLoss1", "EuclideanLoss", ["ReLU2", "DummyData2"], ["EuclideanLoss1"]),
    ]
    assert wiring(loss.to_proto()) == expected
    assert wiring(to_proto(first, loss)) == expected
    assert wiring(L.Silence(data, ntop=0).tops or to_proto(first)) == expected[:2]


def test_blobs_between_named_ones_are_found() -> None:
    n = NetSpec()
    n.sum = L.Eltwise(L.Input(), L.Input(name="second"))
    assert wiring(n.to_proto()) == [
        ("Input1", "Input", [], ["Input1"]),
        ("second", "Input", [], ["Input2"]),
        ("sum", "Eltwise", ["Input1", "Input2"], ["sum"]),
    ]


def test_layers_of_p3d() -> None:
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 16, 160, 160]))
    n.conv1 = L.Convolution(
        n.data, num_output=64, kernel_size=[1, 7, 7], pad=(0, 3, 3), stride=np.array([1, 2, 2]),
        bias_term=False, param=[dict(lr_mult=1, decay_mult=1)],
        weight_filler=dict(type="gaussian", std=0.5), engine=P.Convolution.CAFFE,
    )  # fmt: skip
    n.bn_conv1 = L.BN(n.conv1, frozen=True, param=[dict(lr_mult=1), dict(lr_mult=0)])
    n.pool1 = L.Pooling3D(
        n.bn_conv1, pool=P.Pooling3D.AVE, kernel_size=3, stride=2, kernel_l=2, stride_l=2,
        round_mode="FLOOR",
    )  # fmt: skip
    assert n.to_proto() == parse_net("""
        layer { name: "data" type: "Input" top: "data"
          input_param { shape { dim: [1, 3, 16, 160, 160] } } }
        layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
          param { lr_mult: 1 decay_mult: 1 }
          convolution_param { num_output: 64 bias_term: false pad: [0, 3, 3]
            kernel_size: [1, 7, 7] stride: [1, 2, 2] engine: CAFFE
            weight_filler { type: "gaussian" std: 0.5 } } }
        layer { name: "bn_conv1" type: "BN" bottom: "conv1" top: "bn_conv1"
          param { lr_mult: 1 } param { lr_mult: 0 } bn_param { frozen: true } }
        layer { name: "pool1" type: "Pooling3D" bottom: "bn_conv1" top: "pool1"
          pooling3d_param { pool: AVE kernel_size: 3 stride: 2 kernel_l: 2 stride_l: 2
            round_mode: FLOOR } }
    """)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (L.Pooling(pool=P.Pooling.MAX), "pooling_param { pool: MAX }"),
        (L.Pooling(pool="AVE"), "pooling_param { pool: AVE }"),
        (L.Pooling(pooling_param=dict(pool=2)), "pooling_param { pool: STOCHASTIC }"),
        (L.Convolution(kernel_size=3), "convolution_param { kernel_size: 3 }"),
        (L.Deconvolution(kernel_size=3), "convolution_param { kernel_size: 3 }"),
        (L.LSTM(num_output=np.int64(3)), "recurrent_param { num_output: 3 }"),
        (L.Dropout(dropout_ratio=np.float32(0.5)), "dropout_param { dropout_ratio: 0.5 }"),
        (L.Slice(slice_point=[]), ""),
        (L.ReLU(include=dict(phase=caffe_pb2.TRAIN)), "include { phase: TRAIN }"),
        (L.ReLU(include=[dict(stage="a"), dict()]), 'include { stage: "a" } include { }'),
        (L.ReLU(phase="TEST", propagate_down=[True]), "phase: TEST propagate_down: true"),
        (L.ReLU(relu_param={}), "relu_param { }"),
        (L.DummyData(transform_param=dict(scale=2)), "transform_param { scale: 2 }"),
        (L.DummyData(data_filler=caffe_pb2.FillerParameter(value=2)),
         "dummy_data_param { data_filler { value: 2 } }"),
        (L.Python(module="m", layer="Mine", param_str="{}"),
         'python_param { module: "m" layer: "Mine" param_str: "{}" }'),
        (L.MyOwn(param=dict(name="w")), 'param { name: "w" }'),
    ],
)  # fmt: skip
def test_options(top: Top, expected: str) -> None:
    (layer,) = top.to_proto().layer
    kind = layer.type
    for field in ("name", "type", "top"):
        layer.ClearField(field)
    assert parse_net(f"layer {{ {expected} }}").layer[0] == layer, kind


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: L.Silence(L.DummyData(ntop=2), ntop=0), TypeError,
         r"^Silence input 0 is not a Top \(type is <class 'tuple'>\)$"),
        (lambda: L.Convolution(kernel_sise=3).to_proto(), AttributeError, "kernel_size"),
        (lambda: L.Softmaxx(axis=3).to_proto(), AttributeError, "axis"),
        (lambda: L.BN(slope_filler=3).to_proto(), TypeError, "FillerParameter needs a dict"),
        (lambda: L.BN(slope_filler=dict(vlaue=3)).to_proto(), AttributeError, "'value'"),
        (lambda: L.Pooling(pool="MIX").to_proto(), ValueError, "MAX, AVE, STOCHASTIC"),
        (lambda: L.Convolution(num_output="x").to_proto(), TypeError, "num_output cannot be 'x'"),
        (lambda: L.Convolution(num_output=-1).to_proto(), ValueError, "num_output cannot be -1"),
        (lambda: P.Poolin.MAX, AttributeError, "did you mean 'Pooling'"),
        (lambda: P.Pooling.MXA, AttributeError, "MXA"),
        (lambda: NetSpec().conv1, AttributeError, "conv1"),
        (lambda: NetSpec()["conv1"], KeyError, "conv1"),
    ],
)  # fmt: skip
def test_mistakes(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_very_deep_net() -> None:
    top = L.Input()
    for _ in range(5000):
        top = L.ReLU(top)
    assert len(top.to_proto().layer) == 5001


def test_shared_ancestors_are_written_once() -> None:
    top = L.Input()
    for _ in range(40):
        top = L.Eltwise(top, top)
    assert len(prepare(top.to_proto(), caffe_pb2.TEST).layer) == 41 + 40  # and the Splits


def test_every_param_has_its_kind() -> None:
    found = param_name_dict()
    assert found["BN"] == "bn"
    assert found["Pooling3D"] == "pooling3d"
    assert found["BatchNorm"] == "batch_norm"
    assert found["HDF5Data"] == "hdf5_data"
    assert len(found) == sum(
        field.name.endswith("_param") for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
    )


def test_copies_and_completion() -> None:
    n = NetSpec()
    n.data = L.Input()
    assert wiring(copy.deepcopy(n).to_proto()) == wiring(n.to_proto())
    assert "data" in dir(n)
    assert {"BN", "Deconvolution"} <= set(dir(L))
    assert "Pooling3D" in dir(P)
    assert not hasattr(n, "nothing")
