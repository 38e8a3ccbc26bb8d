"""The training plan: gradients, and what can be seen of blobs that it does not keep.

Every test compares `_forward_backward` with a net that runs layer by layer on the same weights.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from plan_nets import NETS, TINY, conv, data, layer
from recipe import fill_params, rng_for

import p3d.caffe as caffe

FROZEN = TINY.replace("frozen: false", "frozen: true")
FREEZE = "bn_param { frozen: true }"
CASES = {
    **NETS,
    "dropout_between": NETS["dropout_between"].replace(
        'type: "Dropout"', 'type: "Dropout" dropout_param { dropout_ratio: 0 }'
    ),
    "tiny_p3d_frozen": FROZEN,
    "frozen_bn": NETS["two_affine"].replace('top: "bn" ', f'top: "bn" {FREEZE} '),
    "frozen_then_relu": NETS["relu_then_bn"].replace('top: "bn" ', f'top: "bn" {FREEZE} '),
    "fixed_scale": data(2, 3, 2, 4, 5)
    + conv("c", "data", 5)
    + layer("Scale", "s", "c", more="param { lr_mult: 0 } scale_param { filler { value: -2 } }")
    + layer("ReLU", "relu", "s", "s"),
    "relu_before_the_sum": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "data", 5)
    + layer("ReLU", "relu", "b", "b")
    + layer("Eltwise", "sum", "a b", more="eltwise_param { coeff: 0.5 coeff: -2 }"),
    "sum_to_the_first": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + conv("b", "a", 3)
    + layer("ReLU", "relu_b", "b", "b")
    + conv("c", "b", 3)
    + layer("Eltwise", "sum", "b c", more="eltwise_param { coeff: 3 coeff: 0.5 }")
    + layer("ReLU", "relu", "sum", "sum")
    + conv("d", "sum", 3),
    "three_readers": data(2, 3, 5, 7, 9)
    + conv("a", "data", 4)
    + conv("b", "a", 4, "stride: 2")
    + layer("Pooling3D", "p", "a", more="pooling3d_param { pool: AVE kernel_size: 1 stride: 2 "
            "kernel_l: 1 stride_l: 2 }")
    + conv("c", "a", 4, "stride: 2")
    + layer("Eltwise", "s1", "b p")
    + layer("Eltwise", "s2", "s1 c"),
    "lower_part_fixed": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5).replace("convolution_param", "param { lr_mult: 0 } param { lr_mult: 0 } "
                                   "convolution_param")
    + layer("ReLU", "relu", "a", "a")
    + conv("b", "a", 5)
    + layer("Eltwise", "sum", "a b"),
    "no_gradient_down": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "a", 5)
    + layer("Eltwise", "sum", "a b", more="propagate_down: false propagate_down: true"),
    "loss_that_is_read": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("Reduction", "mean", "a", more="reduction_param { operation: MEAN axis: 1 } "
            "loss_weight: 3")
    + layer("Power", "twice", "mean", more="power_param { scale: 2 }"),
    "dead_end": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "a", 5)
    + conv("unused", "a", 2)
    + 'layer { name: "silence" type: "Silence" bottom: "unused" }\n',
}  # fmt: skip


def with_losses(text: str) -> str:
    """Half the sum of squares of every output."""
    outputs = caffe.Net(text, caffe.TRAIN).outputs
    return text + "".join(
        layer("Reduction", f"loss_{i}", name, "", "reduction_param { operation: SUMSQ } "
              "loss_weight: 0.5")
        for i, name in enumerate(outputs)
        if "_split_" not in name
    )  # fmt: skip


def make(text: str) -> tuple[caffe.Net, caffe.Net]:
    """(planned net, one of the same weights that runs layer by layer), inputs filled."""
    nets = caffe.Net(with_losses(text), caffe.TRAIN), caffe.Net(with_losses(text), caffe.TRAIN)
    for name, blobs in nets[0].params.items():
        normalises = nets[0].layer_dict[name].type in ("BN", "BatchNorm")
        for i, blob in enumerate(blobs):
            value = fill_params(name, i, (1, blob.count), scaled=False).reshape(blob.shape)
            value = np.abs(value) + 0.1 if normalises else fill_params(name, i, blob.shape)
            nets[0].params[name][i].data[...] = value
            nets[1].params[name][i].data[...] = value
    nets[1]._net.set_planning(False)
    refill(nets, 1)
    return nets


def refill(nets: tuple[caffe.Net, caffe.Net], seed: int) -> None:
    for net in nets:
        net.blobs["data"].data[...] = rng_for(str(seed)).normal(0, 1, net.blobs["data"].shape)


def run(nets: tuple[caffe.Net, caffe.Net], times: int = 1) -> None:
    for _ in range(times):
        losses = [net._forward_backward() for net in nets]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def assert_close(actual: np.ndarray, desired: np.ndarray, what: str) -> None:
    scale = max(float(np.abs(desired).max(initial=0)), 1e-20)
    worst = float(np.abs(actual - desired).max(initial=0)) / scale
    assert worst <= 2e-5, f"{what}: off by {worst:.2e} of the largest value"


def assert_params_close(nets: tuple[caffe.Net, caffe.Net], what: str) -> None:
    planned, plain = nets
    for name, blobs in plain.params.items():
        for i, blob in enumerate(blobs):
            mine = planned.params[name][i]
            assert_close(mine.diff, blob.diff, f"{what}: gradient {i} of {name}")
            assert_close(mine.data, blob.data, f"{what}: blob {i} of {name}")


@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_layer_by_layer(name: str) -> None:
    nets = make(CASES[name])
    run(nets, times=2)  # adds to the gradients
    assert nets[0]._net.planned == (name != "loss_that_is_read")
    assert not nets[1]._net.planned
    assert_params_close(nets, name)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("order", ["forwards", "backwards", "shuffled"])
def test_any_blob_and_its_gradient_in_any_order(name: str, order: str) -> None:
    planned, plain = nets = make(CASES[name])
    run(nets)
    before = {k: [b.diff.copy() for b in v] for k, v in planned.params.items()}
    asked = [(blob, what) for blob in plain.blobs for what in ("data", "diff")]
    if order == "backwards":
        asked.reverse()
    elif order == "shuffled":
        rng_for(name).shuffle(asked)
    for blob, what in asked:
        expected = getattr(plain.blobs[blob], what)
        assert_close(getattr(planned.blobs[blob], what), expected, f"{name}: {what} of {blob}")
    for layer_name, diffs in before.items():
        for blob, diff in zip(planned.params[layer_name], diffs, strict=True):
            np.testing.assert_array_equal(blob.diff, diff)


def test_no_memory_for_what_is_folded_away() -> None:
    planned, _ = nets = make(FROZEN)
    run(nets)
    view = planned.blobs["res2a_branch2a"].data  # between convolution and BN
    run(nets)
    expected = nets[1].blobs["res2a_branch2a"].data
    assert_close(view, expected, "a blob that was asked for stays")


def test_gradients_that_were_asked_for_stay() -> None:
    planned, plain = nets = make(FROZEN)
    run(nets)
    assert_close(planned.blobs["res2a"].diff, plain.blobs["res2a"].diff, "made again")
    refill(nets, 2)
    run(nets)
    assert not planned._net.planned
    for net in nets:
        for blobs in net.params.values():
            blobs[0].data[...] *= 0.5  # an update after the backward
    assert_close(planned.blobs["res2a"].diff, plain.blobs["res2a"].diff, "kept")


def test_a_held_view_of_a_gradient_is_filled() -> None:
    planned, plain = nets = make(FROZEN)
    view = planned.blobs["pool5"].diff
    run(nets)
    assert_close(view, plain.blobs["pool5"].diff, "held view")


def test_hooks_see_every_layer() -> None:
    planned, _ = nets = make(FROZEN)
    run(nets)
    seen: list[int] = []
    planned.before_backward(seen.append)
    run(nets)
    assert seen == list(reversed(range(len(planned.layers))))
    assert_params_close(nets, "hooked")


def test_another_shape() -> None:
    nets = make(FROZEN)
    run(nets)
    for net in nets:
        net.blobs["data"].reshape(3, *net.blobs["data"].shape[1:])
    refill(nets, 2)
    run(nets)
    assert nets[0]._net.planned
    assert_params_close(nets, "three clips")


def test_no_way_back_from_a_loss_that_is_not_finite() -> None:
    planned, _ = make(CASES["frozen_then_relu"])
    planned.blobs["data"].data[0, 0, 0, 0, 0] = np.nan
    assert not np.isfinite(planned._forward_backward())
    assert not any(np.any(b.diff) for blobs in planned.params.values() for b in blobs)


def test_layer_by_layer_after_a_plan() -> None:
    planned, plain = nets = make(FROZEN)
    run(nets)
    for net in nets:
        net.clear_param_diffs()
        net.forward()
        net.backward()
    assert_params_close(nets, "forward() and backward()")
    assert_close(planned.blobs["res2a"].diff, plain.blobs["res2a"].diff, "its diffs")
    run(nets)
    assert_params_close(nets, "planned again")


def test_errors_name_the_layer() -> None:
    text = data(2, 3, 4, 5) + conv("a", "data", 5)
    text += layer("Dropout", "d", "a") + 'layer { name: "label" type: "Input" top: "label" '
    text += "input_param { shape { dim: 2 dim: 4 dim: 5 } } }\n"
    text += layer("SoftmaxWithLoss", "loss", "d label")
    net = caffe.Net(text, caffe.TRAIN)
    net.blobs["label"].data[...] = 9
    with pytest.raises(Exception, match=re.escape("SoftmaxWithLoss 'loss'")):
        net._forward_backward()


def test_a_solver_steps_as_by_hand(tmp_path) -> None:
    text = with_losses(FROZEN)
    (tmp_path / "net.prototxt").write_text(text)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 1e-4 momentum: 0.9 lr_policy: "fixed" '
        "weight_decay: 0.01 max_iter: 3 snapshot_after_train: false iter_size: 2"
    )
    solvers = [caffe.SGDSolver(str(tmp_path / "solver.prototxt")) for _ in range(2)]
    nets = solvers[0].net, solvers[1].net
    for name, blobs in nets[0].params.items():
        for i, blob in enumerate(blobs):
            nets[1].params[name][i].data[...] = blob.data
    nets[1]._net.set_planning(False)
    refill(nets, 1)
    for solver in solvers:
        solver.step(3)
    assert nets[0]._net.planned
    assert_params_close(nets, "three steps")
