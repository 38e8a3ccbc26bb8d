"""The gradient of layers that are written in Python."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from recipe import rng_for

import p3d.caffe as caffe

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Python" bottom: "a" top: "p"
  python_param { module: "doubler" layer: "Doubler" } }
layer { name: "c" type: "InnerProduct" bottom: "p" top: "c" loss_weight: 1
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""


class Doubler(caffe.Layer):
    """A Python layer with a parameter: y = 2 x w."""

    def setup(self, bottom, top):  # type: ignore[no-untyped-def]
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 1

    def reshape(self, bottom, top):  # type: ignore[no-untyped-def]
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):  # type: ignore[no-untyped-def]
        top[0].data[...] = 2 * bottom[0].data * self.blobs[0].data

    def backward(self, top, propagate_down, bottom):  # type: ignore[no-untyped-def]
        self.blobs[0].diff[...] += (2 * bottom[0].data * top[0].diff).sum()
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * top[0].diff * self.blobs[0].data


def test_attributes_of_the_object_behind_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "doubler", sys.modules[__name__])
    net = caffe.Net(NET.replace('layer: "Doubler"', 'layer: "Doubler" param_str: "7"'), caffe.TRAIN)
    layer = net.layer_dict["p"]
    layer.roidb = [1, 2]
    assert net.layers[2].roidb == [1, 2]
    assert (layer.param_str, layer.phase, layer.type) == ("7", caffe.TRAIN, "Python")
    assert layer.python_object.roidb is layer.roidb
    with pytest.raises(AttributeError, match="gone"):
        layer.gone  # noqa: B018
    with pytest.raises(AttributeError, match="layer 'a' has no attribute 'roidb'"):
        net.layer_dict["a"].roidb = 3
    assert not hasattr(net.layers[0], "roidb")


def test_python_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "doubler", sys.modules[__name__])
    net = caffe.Net(NET, caffe.TRAIN)
    net.blobs["x"].data[...] = rng_for("x").normal(0, 1, (2, 4))
    net.params["p"][0].data[...] = 3
    net.forward()
    for _ in range(2):
        net.backward()
    np.testing.assert_allclose(net.blobs["a"].diff, 6 * net.blobs["p"].diff, rtol=1e-6)
    weight = 2 * (2 * net.blobs["a"].data * net.blobs["p"].diff).sum()
    np.testing.assert_allclose(net.params["p"][0].diff, [weight], rtol=1e-5)
    assert net.params["a"][0].diff.any()


def test_a_solver_goes_back_once_in_each_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Counted(Doubler):
        def backward(self, top, propagate_down, bottom):  # type: ignore[no-untyped-def]
            calls.append(solver.iter)
            super().backward(top, propagate_down, bottom)

    monkeypatch.setitem(sys.modules, "doubler", SimpleNamespace(Doubler=Counted))
    solver = caffe.get_solver(f'net_param {{ {NET} }} base_lr: 0.1 lr_policy: "fixed"')
    solver.step(3)
    assert calls == [0, 1, 2]
