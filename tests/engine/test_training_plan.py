"""The training plan: gradients, and what can be seen of blobs that it does not keep.

Every test compares `_forward_backward` with a net that runs layer by layer on the same weights.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from backward_nets import CASES, FROZEN, make, refill, with_losses
from plan_nets import conv, data, layer
from recipe import rng_for

import p3d.caffe as caffe


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
    assert nets[0]._net.planned == (name not in ("loss_that_is_read", "loss_in_place"))
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


OVERWRITING = {
    "Scale": "scale_param { filler { value: -2 } }",
    "Power": "power_param { shift: -1 }",
    "BN": "",
    "BatchNorm": "",
}


@pytest.mark.parametrize("planning", [True, False])
@pytest.mark.parametrize("after", OVERWRITING)
def test_a_relu_whose_top_is_overwritten_in_place(after: str, planning: bool) -> None:
    found = []
    for top in ("a", "b"):
        text = data(2, 3, 2, 4, 5) + conv("c", "data", 4)
        text += layer("ReLU", "a", "c")
        text += layer(after, "last", "a", top, more=OVERWRITING[after])
        net = make(text)[0 if planning else 1]
        net._forward_backward()
        found.append({name: blobs[0].diff.copy() for name, blobs in net.params.items()})
    assert np.abs(found[1]["c"]).max() > 0
    for name, diff in found[1].items():
        assert_close(found[0][name], diff, name)


def test_no_memory_for_what_is_folded_away() -> None:
    planned, _ = nets = make(FROZEN)
    run(nets)
    view = planned.blobs["res2a_branch2a"].data  # between convolution and BN
    run(nets)
    expected = nets[1].blobs["res2a_branch2a"].data
    assert_close(view, expected, "a blob that was asked for stays")
    # The second number is for values and gradients; sums and ReLUs in place are folded as well.
    needs = [net._net.gpu_needs()[1] for net in make(FROZEN)]
    assert needs[0] < 0.4 * needs[1]


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
