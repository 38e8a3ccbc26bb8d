"""Python layers that give blobs other shapes, call their net, or keep what they were given."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest

import p3d
import p3d.caffe as caffe

# With convolutions around the layer, whose epilogues and arena a plan makes.
NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "before" type: "Convolution" bottom: "x" top: "before"
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "before" top: "before" }
layer { name: "own" type: "Python" bottom: "before" top: "own"
  python_param { module: "own_layers" layer: "Own" } }
layer { name: "behind" type: "Convolution" bottom: "own" top: "behind"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "behind" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "sum" type: "Reduction" bottom: "pool" top: "sum" loss_weight: 1 }
"""
PHASES = [caffe.TEST, caffe.TRAIN]


class Same(caffe.Layer):
    """Copies; what a test wants to happen in a forward is `act`."""

    act: Callable[[Same, list, list], object] | None = None

    def reshape(self, bottom, top):  # type: ignore[no-untyped-def]
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):  # type: ignore[no-untyped-def]
        top[0].data[...] = bottom[0].data
        if type(self).act:
            type(self).act(self, bottom, top)

    def backward(self, top, propagate_down, bottom):  # type: ignore[no-untyped-def]
        bottom[0].diff[...] = 1


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("own_layers")
    module.Own = type("Own", (Same,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_layers", module)
    return module


def run(net: caffe.Net) -> float:
    if net.phase == caffe.TRAIN:
        return net._forward_backward()
    return float(net.forward()["sum"])


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_forward_may_give_tops_other_shapes(own: ModuleType, phase: int, size: int) -> None:
    """Layers that propose regions do, each time."""
    net = caffe.Net(NET, phase)
    first = run(net)

    def propose(layer: Same, bottom: list, top: list) -> None:
        top[0].reshape(size, 3, 9, 9)
        top[0].data[...] = 1

    own.Own.act = propose
    found = [run(net), run(net)]
    assert net.blobs["behind"].shape == (size, 4, 9, 9)
    by_layer = caffe.Net(NET, phase)
    by_layer.run_by_layer()
    by_layer.share_with(net)
    np.testing.assert_allclose(found, run(by_layer), rtol=1e-5)
    own.Own.act = None
    np.testing.assert_allclose(run(net), first, rtol=1e-5)


@pytest.mark.parametrize("phase", PHASES)
def test_reshape_is_for_own_tops(own: ModuleType, phase: int) -> None:
    net = caffe.Net(NET, phase)
    own.Own.reshape = lambda layer, bottom, top: bottom[0].reshape(1, 3, 8, 8)
    for forward in (net.reshape, net.forward, net._forward_backward):
        with pytest.raises(p3d.Error, match="'own': gave blob 'before' the shape 1 3 8 8"):
            forward()
    with pytest.raises(p3d.Error, match="gave blob 'before'"):
        caffe.Net(NET, phase)


@pytest.mark.parametrize("phase", PHASES)
def test_forward_that_reshapes_its_bottom(own: ModuleType, phase: int) -> None:
    net = caffe.Net(NET, phase)
    run(net)
    own.Own.act = lambda layer, bottom, top: bottom[0].reshape(1, 3, 2, 2)
    net.forward()
    with pytest.raises(p3d.Error, match=r"run forward\(\) before"):
        net.backward()
    own.Own.act = None
    run(net)


CALLS: dict[str, Callable[[caffe.Net], object]] = {
    "forward": lambda net: net.forward(),
    "backward": lambda net: net.backward(),
    "both": lambda net: net._forward_backward(),
    "profile": lambda net: net.profile(),
    "reshape": lambda net: net.reshape(),
    "reshape of an input": lambda net: net.blobs["x"].reshape(1, 3, 9, 9),
    "a blob that the plan drops": lambda net: net.blobs["behind"].data,
    "share_with": lambda net: net.share_with(caffe.Net(NET.replace('"Own"', '"Other"'), net.phase)),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("call", CALLS)
def test_a_running_net_is_left_alone(own: ModuleType, phase: int, call: str) -> None:
    own.Other = type("Other", (Same,), {})  # type: ignore[attr-defined]
    net = caffe.Net(NET, phase)
    expected = run(net)
    own.Own.act = lambda *_: CALLS[call](net)
    with pytest.raises(p3d.Error, match=r"'own'.*the net is running"):
        run(net)
    own.Own.act = None
    assert run(net) == expected


def test_kept_blobs_outlive_their_net(own: ModuleType) -> None:
    kept: list = []
    own.Own.setup = lambda layer, bottom, top: kept.extend([*bottom, *top])
    net = caffe.Net(NET, caffe.TEST)
    net.forward()
    del net
    gc.collect()
    assert [blob.data.shape for blob in kept] == [(2, 3, 8, 8)] * 2
    kept[0].reshape(300, 300)
    assert not kept[0].data.any()


@pytest.mark.parametrize("phase", PHASES)
def test_kept_blobs_are_read_while_their_net_runs(own: ModuleType, phase: int) -> None:
    kept: list = []
    own.Own.setup = lambda layer, bottom, top: kept.extend([*bottom, *top])
    net = caffe.Net(NET, phase)
    net.blobs["x"].data[...] = 1
    expected = run(net)
    ended = threading.Event()

    def read() -> int:
        reads = 0
        while not ended.is_set():
            reads += sum(np.isfinite(blob.data).all() for blob in kept)
            reads += sum(np.isfinite(blob.diff).all() for blob in kept)
        return reads

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            losses = {run(net) for _ in range(300)}
        finally:
            ended.set()
        assert all(reader.result() > 0 for reader in readers)
    assert losses == {expected}


@pytest.mark.parametrize("phase", PHASES)
def test_threads_of_a_layer_have_its_blobs(own: ModuleType, phase: int) -> None:
    with ThreadPoolExecutor(2) as pool:

        def act(layer: Same, bottom: list, top: list) -> None:
            sums = pool.map(lambda blob: float(blob.data.sum()), [*bottom, *top, *bottom])
            assert len(set(sums)) == 1

        own.Own.act = act
        net = caffe.Net(NET, phase)
        net.blobs["x"].data[...] = 1
        assert run(net) == run(net)


@pytest.mark.parametrize("blobs", [[1], [None], [np.zeros(3)], "ab"])
def test_blobs_that_are_none(own: ModuleType, blobs: object) -> None:
    def setup(layer: Same, bottom: list, top: list) -> None:
        layer.blobs = blobs  # type: ignore[assignment]

    own.Own.setup = setup
    with pytest.raises(p3d.Error, match=r"'own': its blobs are made by blobs\.add_blob\(\)"):
        caffe.Net(NET, caffe.TEST)


def test_backward_behind_a_forward_that_failed(own: ModuleType) -> None:
    net = caffe.Net(NET, caffe.TRAIN)

    def fail(*_: object) -> None:
        raise KeyError("the layer's own error")

    own.Own.act = fail
    with pytest.raises(KeyError, match="own error"):
        net._forward_backward()
    with pytest.raises(p3d.Error, match=r"run forward\(\) before"):
        net.backward()
