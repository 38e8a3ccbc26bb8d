"""Blobs that a plan dropped are made again without running twice what may do more than that."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import numpy as np
import pytest

import p3d
import p3d.caffe as caffe

CONV = """layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" convolution_param {{
  num_output: 4 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "{0}_bn" type: "BatchNorm" bottom: "{0}" top: "{0}" }}
layer {{ name: "{0}_relu" type: "ReLU" bottom: "{0}" top: "{0}" }}
"""
OWN = 'layer {{ name: "{0}" type: "Python" bottom: "{1}" top: "{2}" {3} }}\n'.format
COUNTED = 'python_param { module: "own_layers" layer: "Counted" }'
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 8, 8] } } }\n'

# What lies before, between, behind and beside layers in Python, in the middle and in place.
NETS = {
    "in the middle": INPUT
    + CONV.format("a", "x")
    + CONV.format("b", "a")
    + OWN("own", "b", "own", COUNTED)
    + CONV.format("c", "own")
    + CONV.format("d", "c"),
    "in place": INPUT
    + CONV.format("a", "x")
    + OWN("own", "a", "a", COUNTED)
    + 'layer { name: "p" type: "Power" bottom: "a" top: "a" power_param { scale: 3 shift: 1 } }\n'
    + CONV.format("c", "a")
    + CONV.format("d", "c"),
    "read twice": INPUT
    + CONV.format("a", "x")
    + OWN("own", "a", "own", COUNTED)
    + CONV.format("b", "own")
    + 'layer { name: "sum" type: "Eltwise" bottom: "b" bottom: "own" top: "sum" }\n'
    + CONV.format("c", "sum")
    + CONV.format("d", "c"),
    "with nothing behind": INPUT
    + CONV.format("a", "x")
    + OWN("own", "a", "aside", COUNTED)
    + CONV.format("b", "a")
    + CONV.format("c", "b"),
    "of vectors": INPUT
    + CONV.format("a", "x")
    + 'layer { name: "f" type: "InnerProduct" bottom: "a" top: "f" inner_product_param '
    '{ num_output: 5 weight_filler { type: "xavier" } } }\n'
    + OWN("own", "f", "own", COUNTED)
    + 'layer { name: "p" type: "Power" bottom: "own" top: "p" power_param { scale: 3 } }\n'
    + 'layer { name: "q" type: "Power" bottom: "p" top: "q" power_param { shift: 3 } }\n',
    "one behind the other": INPUT
    + OWN("own", "x", "x2", COUNTED)
    + CONV.format("a", "x2")
    + OWN("own2", "a", "own2", COUNTED)
    + CONV.format("b", "own2")
    + CONV.format("c", "b"),
}


class Counted(caffe.Layer):
    """Gives another multiple of its bottom every time, if it is not to give the same."""

    def setup(self, bottom, top):  # type: ignore[no-untyped-def]
        self.forwards = 0

    def reshape(self, bottom, top):  # type: ignore[no-untyped-def]
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):  # type: ignore[no-untyped-def]
        self.forwards += 1
        factor = 1 if self.param_str == "same" else self.forwards
        top[0].data[...] = factor * bottom[0].data - factor

    def backward(self, top, propagate_down, bottom):  # type: ignore[no-untyped-def]
        bottom[0].diff[...] = 1


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_layers")
    module.Counted = Counted  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_layers", module)


def forwards(net: caffe.Net) -> set[int]:
    return {layer.forwards for layer in net.layers if layer.type == "Python"}


def pair(name: str) -> tuple[caffe.Net, caffe.Net]:
    """The net, and one of the same weights and input."""
    nets = caffe.Net(NETS[name], caffe.TEST), caffe.Net(NETS[name], caffe.TEST)
    nets[1].share_with(nets[0])
    for net in nets:
        net.blobs["x"].data[...] = np.random.default_rng(1701).normal(0, 1, (2, 3, 8, 8))
    return nets


def check(net: caffe.Net, truth: caffe.Net, blob: str) -> None:
    found, expected = net.blobs[blob].data, truth.blobs[blob].data
    np.testing.assert_allclose(found, expected, 1e-4, 1e-4, err_msg=blob)


@pytest.mark.parametrize("name", NETS)
def test_a_blob_that_is_looked_at_runs_no_python_layer_again(name: str) -> None:
    net, truth = pair(name)
    truth.run_by_layer()
    for each in (net, truth):
        each.forward()
    assert net.planned, "it runs by a plan"
    for blob in reversed(list(net.blobs)):
        check(net, truth, blob)
        assert forwards(net) == {1}, blob


@pytest.mark.parametrize("name", NETS)
def test_one_blob_alone(name: str) -> None:
    """Not behind others, which are kept from the first time on that they were asked for."""
    for blob in caffe.Net(NETS[name], caffe.TEST).blobs:
        net, truth = pair(name)
        truth.run_by_layer()
        for each in (net, truth, net, truth):
            each.forward()
        check(net, truth, blob)
        assert forwards(net) == {2}, blob


@pytest.mark.parametrize(("name", "behind"), [("in the middle", "c"), ("of vectors", "p")])
def test_what_is_written_to_its_top_afterwards_changes_no_other_blob(
    name: str, behind: str
) -> None:
    net, truth = pair(name)
    for each in (net, truth):
        each.forward()
    net.blobs["own"].data[...] = 7
    check(net, truth, behind)


@pytest.mark.parametrize("kind", ["BatchNorm", "BN"])
def test_a_layer_that_trains_in_a_net_for_inference_counts_a_batch_once(kind: str) -> None:
    trains = f'layer {{ name: "bn" type: "{kind}" bottom: "a" top: "bn" phase: TRAIN }}\n'
    net = caffe.Net(INPUT + CONV.format("a", "x") + trains + CONV.format("c", "bn"), caffe.TEST)
    net.blobs["x"].data[...] = np.random.default_rng(1701).normal(0, 1, (2, 3, 8, 8))
    net.forward()
    counted = [blob.data.copy() for blob in net.params["bn"]]
    for blob in net.blobs.values():
        assert blob.data.any()
    for blob, once in zip(net.params["bn"], counted, strict=True):
        np.testing.assert_array_equal(blob.data, once)


def test_the_plan_keeps_what_it_had() -> None:
    steps = [row["layers"] for row in caffe.Net(NETS["in the middle"], caffe.TEST).profile()]
    assert steps[-6:] == [
        "x",
        *("a + a_bn + a_relu", "b + b_bn + b_relu", "own"),
        *("c + c_bn + c_relu", "d + d_bn + d_relu"),
    ]


def test_behind_a_layer_that_failed_nothing_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    net, truth = pair("in the middle")
    net.forward()
    for each in (net, truth):
        each.blobs["x"].data[...] = 2
    truth.forward()

    def fail(layer, bottom, top):  # type: ignore[no-untyped-def]
        raise KeyError("the layer's own error")

    monkeypatch.setattr(Counted, "forward", fail)
    with pytest.raises(KeyError):
        net.forward()
    check(net, truth, "b")
    with pytest.raises(p3d.Error, match=r"'c' is not at hand: the last forward did not come thr"):
        net.blobs["c"].data.sum()


class Grown(Counted):
    """One more row every time, as proposals of regions are another number."""

    def reshape(self, bottom, top):  # type: ignore[no-untyped-def]
        top[0].reshape(1, *bottom[0].shape[1:])

    def forward(self, bottom, top):  # type: ignore[no-untyped-def]
        self.forwards += 1
        top[0].reshape(1 + self.forwards, *bottom[0].shape[1:])
        top[0].data[...] = self.forwards * bottom[0].data[:1]


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        (name, phase)
        for name in ("in the middle", "one behind the other", "in place")
        for phase in (caffe.TEST, caffe.TRAIN)
    ],
)
def test_no_python_layer_runs_twice_where_one_gives_its_top_another_shape(
    name: str, phase: int
) -> None:
    sys.modules["own_layers"].Grown = Grown  # type: ignore[attr-defined]
    last = re.findall(r'top: "(\w+)"', NETS[name])[-1]
    text = (
        NETS[name]
        + OWN("grown", last, "grown", COUNTED.replace("Counted", "Grown"))
        + CONV.format("e", "grown")
        + 'layer { name: "loss" type: "Reduction" bottom: "e" top: "loss" loss_weight: 1 }\n'
    )
    net, truth = (caffe.Net(text, phase) for _ in range(2))
    truth.share_with(net)
    truth.run_by_layer()
    for count in (1, 2):
        values = np.random.default_rng(count).normal(0, 1, (2, 3, 8, 8))
        losses = []
        for each in (net, truth):
            each.blobs["x"].data[...] = values
            losses.append(
                each._forward_backward() if phase == caffe.TRAIN else float(each.forward()["loss"])
            )
        assert forwards(net) == {count}
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
        for blob in net.blobs:
            check(net, truth, blob)


SCALE = 'layer { name: "s" type: "Scale" bottom: "a" top: "a" scale_param { bias_term: true } }\n'


@pytest.mark.parametrize("name", [*NETS, "in place behind a layer that learns"])
def test_the_first_backward_of_phase_test_is_that_of_a_run_by_layer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning = INPUT + CONV.format("a", "x") + SCALE + OWN("own", "a", "a", COUNTED)
    text = NETS.get(name, learning + CONV.format("b", "a"))
    text = text.replace('layer: "Counted"', 'layer: "Counted" param_str: "same"')
    monkeypatch.setitem(NETS, name, "force_backward: true\n" + text)
    net, truth = pair(name)
    truth.run_by_layer()
    for each in (net, truth):
        each.forward()
        each.backward(**{out: np.ones(each.blobs[out].shape) for out in each.outputs})
    assert forwards(net) == {1}
    checked = 0
    for layer, blobs in truth.params.items():
        for index, blob in enumerate(blobs):
            found = net.params[layer][index].diff
            np.testing.assert_allclose(found, blob.diff, 1e-3, 1e-4, err_msg=layer)
            checked += bool(blob.diff.any())
    assert checked > 1
