"""Training in bfloat16 on the processor: what convolutions and their gradients multiply is rounded,
and nothing else is another for it."""

from __future__ import annotations

import numpy as np
import pytest
from backward_nets import CASES, FROZEN, make
from plan_nets import conv, data, layer
from recipe import rng_for

import p3d.caffe as caffe
from p3d import _core, gpu

# How far all gradients of a net together may be off, as a part of their length: the nets have BN
# over few values, which makes more of an error.
NEAR = 0.1
ISAS = _core.isa_names()
# Behind the 1 of plan_nets.conv: a kernel of 1x3x3.
SPATIAL = "kernel_size: 3 kernel_size: 3 pad: 0 pad: 1 pad: 1"

pytestmark = pytest.mark.usefixtures("in_bf16")


def gradients(net: caffe.Net, precision: str = "bf16") -> np.ndarray:
    """Of all parameters."""
    caffe.set_precision(precision)
    net.clear_param_diffs()
    net._forward_backward()
    caffe.set_precision("bf16")
    return np.concatenate([b.diff.ravel() for blobs in net.params.values() for b in blobs])


def off(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-20))


def rounded(values: np.ndarray) -> np.ndarray:
    """The nearest values of bfloat16, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", [name for name in CASES if 'type: "Conv' in CASES[name]])
def test_gradients_are_near_to_float32(name: str, isa: str) -> None:
    _core.set_isa(isa)
    planned, plain = make(CASES[name])
    expected = gradients(plain, "float32")
    for net in (planned, plain):
        assert 0 < off(gradients(net), expected) < NEAR
        assert off(gradients(net, "float32"), expected) < 1e-5, "float32 is what it was"


@pytest.mark.parametrize("shape", [(2, 6, 3, 7, 5), (1, 5, 1, 9, 4)], ids=str)
def test_gradients_of_values_that_bfloat16_holds_are_exact(shape: tuple[int, ...]) -> None:
    text = "force_backward: true\n" + data(*shape) + conv("c", "data", 7, SPATIAL)
    found = []
    for precision in ("bf16", "float32"):
        caffe.set_precision(precision)
        caffe.set_random_seed(3)
        net = caffe.Net(text, caffe.TRAIN)
        random = rng_for("bf16 training")
        weights, biases = net.params["c"]
        for values in (net.blobs["data"].data, weights.data, biases.data):
            values[...] = random.integers(-8, 9, values.shape)
        net.forward()
        net.blobs["c"].diff[...] = random.integers(-8, 9, net.blobs["c"].shape)
        net.backward()
        found.append(
            [weights.diff.copy(), net.blobs["data"].diff.copy(), net.blobs["c"].data.copy()]
        )
    for rounding, exact in zip(*found, strict=True):
        np.testing.assert_array_equal(rounding, exact)


def test_kernels_say_what_they_take() -> None:
    net = caffe.Net(data(1, 6, 4, 4) + conv("c", "data", 8), caffe.TRAIN)
    net.forward()
    (kernel,) = [step["kernel"] for step in net.profile() if step["type"] == "Convolution"]
    assert kernel.startswith("conv_bf16_")
    assert kernel.endswith("_emulated") != gpu.processor_has_bf16()


@pytest.mark.parametrize("more", ["group: 6", "pad_mode: REPLICATE pad: 1"])
def test_gradients_without_kernels_of_bfloat16_are_float32(more: str) -> None:
    net, _ = make(data(2, 6, 5, 7) + conv("c", "data", 6, more))
    net.blobs["data"].data[...] = rounded(net.blobs["data"].data)
    weights = net.params["c"][0]
    weights.data[...] = rounded(weights.data)
    np.testing.assert_allclose(gradients(net), gradients(net, "float32"), rtol=1e-5)


def test_results_and_updates_are_floats() -> None:
    net, _ = make(data(2, 3, 4, 5, 6) + conv("c", "data", 5))
    gradients(net)
    weights = net.params["c"][0]
    for values in (net.blobs["c"].data, weights.data, weights.diff):
        assert not np.array_equal(values, rounded(values))


@pytest.mark.parametrize("reader", ["convolution", "sum", "another layer", "a view"])
def test_what_convolutions_alone_read_takes_16_bits(reader: str) -> None:
    text = data(2, 3, 4, 5, 6) + conv("a", "data", 5) + layer("ReLU", "relu", "a", "a")
    text += conv("b", "a", 5)
    if reader == "sum":
        text += layer("Eltwise", "sum", "a b")
    if reader == "another layer":
        text += layer("Power", "power", "a", "power")
    net, plain = make(text)
    view = net.blobs["a"].data if reader == "a view" else None
    assert off(gradients(net), gradients(plain)) < 0.02
    values = net.blobs["a"].data
    assert np.array_equal(values, rounded(values)) == (reader != "another layer")
    assert view is None or np.array_equal(view, values)


def test_a_look_changes_nothing() -> None:
    """A snapshot goes on bit for bit, whoever looked at what before."""
    text = data(1, 64, 1, 16, 16) + conv("a", "data", 64, SPATIAL) + conv("b", "a", 64, SPATIAL)
    seen, unseen = (make(text)[0] for _ in range(2))
    for _ in range(2):
        np.testing.assert_array_equal(gradients(seen), gradients(unseen))
        assert np.isfinite(seen.blobs["a"].data).all()


def test_a_precision_may_change_between_steps() -> None:
    """A plan for training and its memory serve both."""
    net, plain = make(FROZEN)
    expected = gradients(plain, "float32")
    for _ in range(2):
        assert off(gradients(net), expected) > 1e-4
        assert off(gradients(net, "float32"), expected) < 1e-5


def test_steps_go_as_in_float32(tmp_path) -> None:
    target = layer("Input", "target", "", more="input_param { shape { dim: [4, 2] } }")
    (tmp_path / "net.prototxt").write_text(
        data(4, 3, 4, 6, 6)
        + target
        + conv("a", "data", 12, SPATIAL)
        + layer("ReLU", "relu", "a", "a")
        + conv("b", "a", 8, "stride: 2")
        + layer("InnerProduct", "ip", "b", more="inner_product_param { num_output: 2 "
                'weight_filler { type: "xavier" } }')
        + layer("EuclideanLoss", "loss", "ip target")
    )  # fmt: skip
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 1e-3 momentum: 0.9 lr_policy: "fixed" '
        "max_iter: 40 snapshot_after_train: false random_seed: 5"
    )
    losses = []
    for precision in ("float32", "bf16"):
        caffe.set_precision(precision)
        solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
        for name in ("data", "target"):
            blob = solver.net.blobs[name]
            blob.data[...] = rng_for(name).normal(0, 1, blob.shape)
        trace = []
        for _ in range(40):
            solver.step(1)
            trace.append(float(solver.net.blobs["loss"].data))
        losses.append(trace)
    assert losses[0] != losses[1]
    assert losses[0][-1] < 0.2 * losses[0][0], "it learns"
    np.testing.assert_allclose(losses[1], losses[0], atol=0.02 * losses[0][0])
