"""Sources of data in a net that runs through a plan: run once per forward, never for a blob."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import p3d.caffe as caffe

pytestmark = pytest.mark.embedded

SOURCE = """
layer { name: "s" type: "Python" top: "data" top: "label"
  python_param { module: "counting" layer: "Counting" param_str: "%s" } }
"""
BODY = """
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4
  kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "d" type: "Convolution" bottom: "c" top: "d" convolution_param { num_output: 2
  kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Pooling" bottom: "d" top: "p"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "p" bottom: "label" top: "loss" }
"""


class Counting(caffe.Layer):
    """Noise of its own at every forward; the heights and widths are param_str's, in turn."""

    def setup(self, bottom, top):  # type: ignore[no-untyped-def]
        self.forwards = 0
        self.sizes = [int(size) for size in self.param_str.split()]

    def reshape(self, bottom, top):  # type: ignore[no-untyped-def]
        size = self.sizes[self.forwards % len(self.sizes)]
        top[0].reshape(2, 3, 4, size, size)
        top[1].reshape(2)

    def forward(self, bottom, top):  # type: ignore[no-untyped-def]
        random = np.random.default_rng(self.forwards)
        top[0].data[...] = random.normal(size=tuple(top[0].shape))
        top[1].data[...] = random.integers(2, size=2)
        self.forwards += 1


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "counting", sys.modules[__name__])


def nets(text: str) -> tuple[caffe.Net, caffe.Net]:
    """The same net twice, through a plan and layer by layer."""
    planned, plain = (caffe.Net(text, caffe.TEST) for _ in range(2))
    plain.run_by_layer()
    planned.share_with(plain)
    return planned, plain


def forwards_of(net: caffe.Net) -> int:
    return net.layers[0].python_object.forwards


def close(net: caffe.Net, other: caffe.Net, *names: str) -> None:
    for name in names:
        got, want = net.blobs[name].data, other.blobs[name].data
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("sizes", ["6", "6 6 9", "5 8"])
def test_a_plan_takes_what_the_source_made(sizes: str) -> None:
    planned, plain = nets(SOURCE % sizes + BODY)
    for count in range(1, 6):
        for net in (planned, plain):
            net.forward()
        assert planned.planned
        assert not plain.planned
        close(planned, plain, "loss", "data", "label")
        assert forwards_of(planned) == forwards_of(plain) == count


def test_a_dropped_blob_is_made_again_from_the_same_data() -> None:
    planned, plain = nets(SOURCE % "6" + BODY)
    for net in (planned, plain):
        net.forward()
    for name in ("data", "label"):
        planned.blobs[name].data[...] = 1  # too late for this forward
    close(planned, plain, "d", "c")
    assert forwards_of(planned) == 1


def test_a_backward_keeps_the_data_of_its_forward() -> None:
    planned, plain = nets(SOURCE % "6" + BODY)
    for net in (planned, plain):
        net.forward()
        net.clear_param_diffs()
        net.backward()
    assert forwards_of(planned) == 1
    got, want = (net.params["c"][0].diff for net in (planned, plain))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_data_that_is_changed_in_place_is_no_plans_business() -> None:
    change = (
        'layer { name: "x" type: "Power" bottom: "data" top: "data" power_param { scale: -3 } }'
    )
    planned, plain = nets(SOURCE % "6" + change + BODY)
    for _ in range(2):
        for net in (planned, plain):
            net.forward()
        assert not planned.planned
        close(planned, plain, "loss", "data", "d")


def test_a_profile_has_the_source_once() -> None:
    net = caffe.Net(SOURCE % "6" + BODY, caffe.TEST)
    rows = net.profile()
    assert rows[0]["layers"] == "s"
    assert forwards_of(net) == 1
    assert sum("s" in row["layers"].split(" + ") for row in rows) == 1


def test_a_part_of_the_net_runs_the_sources_that_it_holds() -> None:
    net = caffe.Net(SOURCE % "6" + BODY, caffe.TEST)
    net.forward(end="d")
    assert forwards_of(net) == 1
    net.forward(start="c")
    assert forwards_of(net) == 1


def test_a_filler_whose_values_nobody_has_read_yet() -> None:
    text = (
        'layer { name: "in" type: "DummyData" top: "data" top: "label" dummy_data_param { '
        "shape { dim: [2, 3, 4, 5, 5] } shape { dim: 2 } "
        'data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }'
    ) + BODY.split('layer { name: "p"')[0]
    net = caffe.Net(text, caffe.TEST)
    made = net.forward()["d"].copy()
    assert net.blobs["c"].data.min() == 0  # made again: it was folded away
    np.testing.assert_allclose(net.forward(start="d")["d"], made, rtol=1e-5)
