"""The P3D-199 nets are the released ones: layer by layer, parameter by parameter.

golden/models/p3d199_released.json states the facts of the three released files.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from p3d import models
from p3d.caffe.prototxt import parse_net

TESTS = Path(__file__).parents[1]
RELEASED = json.loads((TESTS / "golden/models/p3d199_released.json").read_text())
NETS = list(RELEASED["nets"])
AXES = {"kernel": "kernel_size", "stride": "stride", "pad": "pad"}


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return request.param, parse_net(models.prototxt(request.param))


def test_net(net):
    name, message = net
    facts = RELEASED["nets"][name]
    assert message.name == facts["net_name"]
    assert Counter(layer.type for layer in message.layer) == facts["layer_counts"]
    assert list(message.layer[0].input_param.shape[0].dim) == facts["input"]


def test_layers_in_order(net):
    name, message = net
    head = RELEASED["nets"][name]["fc"]["name"]
    for layer, fact in zip(message.layer, RELEASED["layers"], strict=True):
        kind, bottom, top = fact[1:4]
        renamed = {"fc_kinetics": head}
        assert layer.name == renamed.get(fact[0], fact[0])
        assert layer.type == kind, layer.name
        assert list(layer.bottom) == [renamed.get(b, b) for b in bottom], layer.name
        assert list(layer.top) == [renamed.get(t, t) for t in top], layer.name
        assert _parameters(layer) == fact[6], layer.name


def _parameters(layer: Any) -> dict[str, Any]:
    """What the facts state about a layer of this type, read from ours."""
    if layer.type == "Convolution":
        param = layer.convolution_param
        assert not param.bias_term
        found = {key: list(getattr(param, field)) for key, field in AXES.items()}
        flat = len(found["kernel"]) == 1  # a single number stands for h and w
        return {"num_output": param.num_output} | {k: v * (1 + flat) for k, v in found.items()}
    if layer.type == "BN":
        param = layer.bn_param
        assert (param.slope_filler.type, param.slope_filler.value) == ("constant", 1)
        assert (param.bias_filler.type, param.bias_filler.value) == ("constant", 0)
        assert not param.HasField("eps")
        assert not param.HasField("momentum")
        return {"frozen": param.frozen}
    if layer.type == "Pooling3D":
        param = layer.pooling3d_param
        found = {"pool": {0: "MAX", 1: "AVE"}[param.pool]}
        found["kernel"] = [param.kernel_l, param.kernel_size, param.kernel_size]
        found["stride"] = [param.stride_l, param.stride, param.stride]
        return found | {"pad": [param.pad_l, param.pad, param.pad]}
    if layer.type == "Eltwise":
        assert layer.eltwise_param.operation == 1
        return {"coeff": c} if (c := list(layer.eltwise_param.coeff)) else {}
    return {}


def test_tail(net):
    name, message = net
    facts = RELEASED["nets"][name]
    by_name = {layer.name: layer for layer in message.layer}
    assert by_name["pool5"].pooling_param.pool == 1
    assert by_name["pool5"].pooling_param.global_pooling
    assert by_name["pool5_drop"].dropout_param.dropout_ratio == pytest.approx(facts["dropout"])
    param = by_name[facts["fc"]["name"]].inner_product_param
    assert param.num_output == facts["fc"]["num_output"]
    assert [param.weight_filler.type, param.weight_filler.std] == facts["fc"]["filler"]
    assert (param.bias_filler.type, param.bias_filler.value) == ("constant", 0)
    reshape = by_name["res5a_reshape"].reshape_param
    assert (list(reshape.shape.dim), reshape.axis, reshape.num_axes) == ([-1], 1, 2)


def test_learning_rates_and_fillers(net):
    name, message = net
    facts = RELEASED["nets"][name]
    kind, std = facts["conv_filler"]
    for layer in message.layer:
        rates = [[p.lr_mult, p.decay_mult] for p in layer.param]
        if layer.type == "Convolution":
            expected = facts["conv1_lr_mult"] if layer.name == "conv1" else [[1, 1]]
            filler = layer.convolution_param.weight_filler
            assert filler.type == kind, layer.name
            assert filler.HasField("std") == (std is not None), layer.name
            assert std is None or filler.std == std, layer.name
        elif layer.type == "BN":
            usual = [[1, 0], [1, 0], [0, 1], [0, 1]]
            expected = facts["bn_conv1_lr"] if layer.name == "bn_conv1" else usual
            assert layer.bn_param.frozen == (layer.name not in facts["bn_not_frozen"]), layer.name
        else:
            expected = facts["fc"]["lr_mult"] if layer.type == "InnerProduct" else []
        assert rates == expected, layer.name


def test_cudnn_gets_no_layer_with_five_axes(net):
    for layer in net[1].layer:
        if layer.type == "Convolution":
            assert layer.convolution_param.engine == layer.convolution_param.CAFFE, layer.name
        if layer.type == "ReLU":
            assert layer.relu_param.engine == layer.relu_param.CAFFE, layer.name


@pytest.mark.parametrize("name", NETS)
def test_weights(name):
    facts = RELEASED["nets"][name]
    counts: Counter[str] = Counter()
    for layer, shapes in models.blobs(name).items():
        kind = "fc" if layer == facts["fc"]["name"] else "bn" if layer.startswith("bn") else "conv"
        counts[kind] += sum(map(math.prod, shapes))
    assert counts["conv"] == facts["conv_params"]
    assert counts["fc"] == facts["fc_params"]
    assert counts["bn"] == facts["bn_blob_values"]


SHIPPED = {
    "p3d199-kinetics",
    "p3d199-kinetics-flow",
    "p3d199-sports1m",
    "p3d131-kinetics",
    "p3d131-kinetics-flow",
    "p3d63-kinetics",
    "p3d63-kinetics-flow",
}


def test_the_files_are_what_the_generator_prints():
    files = {path.stem: path for path in (TESTS.parent / "prototxt").glob("p3d*.prototxt")}
    assert set(files) == SHIPPED
    for name, path in files.items():
        assert path.read_text() == models.prototxt(name), (
            f"refresh it: p3d models {name} --out prototxt/{path.name}"
        )
