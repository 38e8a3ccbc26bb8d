"""The inference plan: what it computes, what can be seen of it, what can be written into it.

Every test compares a planned net with one that runs layer by layer on the same weights, in float32
and in bfloat16.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from plan_nets import NETS, TINY, TINY_FILE, data, layer
from recipe import fill_params, rng_for

import p3d.caffe as caffe
from p3d import gpu

# By how much of the largest value results may be off. The plan rounds once where layers round
# twice.
LIMITS = {"float32": 1e-5, "bf16": 0.06}


@pytest.fixture(autouse=True, params=LIMITS)
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    caffe.set_precision(request.param)
    yield request.param
    caffe.set_precision("float32")


def make(text: str, seed: int = 1) -> tuple[caffe.Net, caffe.Net]:
    """(planned net, the same weights layer by layer), inputs filled."""
    planned = caffe.Net(text, caffe.TEST)
    for name, blobs in planned.params.items():
        normalises = planned.layer_dict[name].type in ("BN", "BatchNorm")
        for i, blob in enumerate(blobs):
            if normalises:
                value = np.abs(fill_params(name, i, (1, blob.count), scaled=False)) + 0.1
                blob.data[...] = value.reshape(blob.shape)
            elif text is TINY:
                blob.data[...] = fill_params(name, i, blob.shape)
    plain = caffe.Net(text, caffe.TEST)
    plain.share_with(planned)
    plain._net.set_planning(False)
    for net in (planned, plain):
        net.blobs["data"].data[...] = rng_for(str(seed)).normal(0, 1, net.blobs["data"].shape)
    return planned, plain


def assert_close(actual: np.ndarray, desired: np.ndarray, what: str) -> None:
    scale = max(float(np.abs(desired).max()), 1e-20)
    worst = float(np.abs(actual - desired).max()) / scale
    assert worst <= LIMITS[gpu.precision()], f"{what}: off by {worst:.2e} of the largest value"


@pytest.mark.parametrize("name", NETS)
def test_outputs_equal_layer_by_layer(name: str) -> None:
    planned, plain = make(NETS[name])
    expected = plain.forward()
    actual = planned.forward()
    assert planned._net.planned
    assert not plain._net.planned
    assert set(actual) == set(expected)
    for blob in expected:
        assert_close(actual[blob], expected[blob], f"{name}: {blob}")


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("order", ["forwards", "backwards", "shuffled"])
def test_any_blob_in_any_order(name: str, order: str) -> None:
    planned, plain = make(NETS[name])
    plain.forward()
    planned.forward()
    names = list(planned.blobs)
    if order == "backwards":
        names.reverse()
    elif order == "shuffled":
        rng_for(name).shuffle(names)
    for blob in names:
        assert_close(planned.blobs[blob].data, plain.blobs[blob].data, f"{name}: {blob}")


def test_joins_what_it_can() -> None:
    planned, _ = make(TINY)
    planned.forward()
    steps = {row["layers"] for row in planned.profile()}
    assert "conv1 + bn_conv1 + conv1_relu" in steps
    a_t = "res2a_branch2b_t + bn2a_branch2b_t + res2a_branch2b_t_relu"
    b_t = "res2b_branch2b_t + bn2b_branch2b_t + res2b_branch2b_st + res2b_branch2b_st_relu"
    c = "res2c_branch2c + bn2c_branch2c + res2c + res2c_relu"
    assert {a_t, b_t, c} <= steps


def test_asked_blob_stays() -> None:
    planned, plain = make(TINY)
    planned.forward()
    view = planned.blobs["bn2a_branch2a"].data
    for seed in (5, 6):
        for net in (planned, plain):
            net.blobs["data"].data[...] = rng_for(str(seed)).normal(0, 1, net.blobs["data"].shape)
            net.forward()
        assert_close(view, plain.blobs["bn2a_branch2a"].data, f"held view after seed {seed}")


@pytest.mark.parametrize("name", ["tiny_p3d", "vector_input"])
def test_missing_blob_is_made_from_the_inputs_of_the_last_forward(name: str) -> None:
    planned, plain = make(NETS[name])
    held = planned.blobs["data"].data
    plain.forward()
    output = {k: v.copy() for k, v in planned.forward().items()}
    held[...] = 77.0
    asked = next(
        b for b in planned.blobs if b not in ("data", *planned.outputs) and "split" not in b
    )
    assert_close(planned.blobs[asked].data, plain.blobs[asked].data, asked)
    assert (held == 77.0).all(), "the refilled input was changed back"
    for blob, value in output.items():
        np.testing.assert_array_equal(planned.blobs[blob].data, value)


@pytest.mark.parametrize("changed", ["data", "flat"])
def test_missing_blob_behind_an_input_that_is_overwritten(changed: str) -> None:
    text = data(2, 3, 4, 5)
    if changed == "flat":  # shares the input's values
        text += layer("Flatten", "flat", "data")
    text += layer("Sigmoid", "map", changed, changed)
    text += layer("Power", "a", changed, more="power_param { scale: 2 }") + layer("Power", "b", "a")
    text += layer("Power", "c", "b")
    planned, plain = make(text)
    for net in (planned, plain):
        net.forward()
    for blob in ("a", "b"):  # each is made of the input as it was
        assert_close(planned.blobs[blob].data, plain.blobs[blob].data, blob)


def test_missing_blob_after_the_input_was_reshaped() -> None:
    planned, _ = make(TINY)
    planned.forward()
    planned.blobs["data"].reshape(2, 3, 8, 32, 32)
    with pytest.raises(RuntimeError, match=r"res2a.*run forward\(\) first"):
        planned.blobs["res2a"].data.sum()
    planned.forward()
    assert planned.blobs["res2a"].data.shape[0] == 2


def test_input_written_through_a_held_view() -> None:
    planned, plain = make(TINY)
    held = planned.blobs["data"].data
    for seed in (2, 3):
        value = rng_for(str(seed)).normal(0, 50, held.shape)
        held[...] = value
        plain.blobs["data"].data[...] = value
        assert_close(planned.forward()["prob"], plain.forward()["prob"], f"seed {seed}")


@pytest.mark.parametrize("drop", [False, True], ids=["held", "dropped"])
@pytest.mark.parametrize("which", ["res2b_branch2b", "bn_conv1", "fc_tiny"])
def test_weights_written_through_a_view(which: str, drop: bool) -> None:
    planned, plain = make(TINY)
    before = planned.forward()["prob"].copy()
    view = planned.params[which][0].data
    planned.forward()
    view *= 1.5
    if drop:
        del view
    after = planned.forward()["prob"].copy()
    assert np.abs(after - before).max() > 1e-6
    assert_close(after, plain.forward()["prob"], f"{which} changed")


def test_weights_read_back_exactly() -> None:
    planned = caffe.Net(TINY, caffe.TEST)
    values = {}
    for name, blobs in planned.params.items():
        for i, blob in enumerate(blobs):
            values[name, i] = fill_params(name, i, blob.shape)
            blob.data[...] = values[name, i]
    planned.forward()
    planned.forward()
    for (name, i), value in values.items():
        np.testing.assert_array_equal(planned.params[name][i].data, value, f"{name}/{i}")


def test_held_weights_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    planned, _ = make(TINY)
    view = planned.params["conv1"][0].data
    with caplog.at_level("INFO", logger="p3d"):
        planned.forward()
        planned.forward()
    assert view is not None
    assert len([r for r in caplog.records if "held" in r.getMessage()]) == 1


def test_partial_runs() -> None:
    planned, plain = make(TINY)
    for net in (planned, plain):
        assert set(net.forward(end="res2b")) == {"res2b"}
    assert_close(planned.blobs["res2b"].data, plain.blobs["res2b"].data, "end=res2b")
    for net in (planned, plain):
        net.blobs["res2b_relu" if "res2b_relu" in net.blobs else "res2b"].data[...] *= 2
        net.forward(start="res2c_branch2a")
    assert_close(planned.blobs["prob"].data, plain.blobs["prob"].data, "start=res2c_branch2a")


def test_start_uses_what_was_written_and_recomputes_the_rest() -> None:
    planned, plain = make(TINY)
    for net in (planned, plain):
        net.forward()
        net.blobs["bn2c_branch2b_t"].data[...] = 0.25
        net.forward(start="res2c_branch2b_st")
    for blob in ("res2c_branch2b_st", "prob", "bn2c_branch2b_t", "res2a"):
        assert_close(planned.blobs[blob].data, plain.blobs[blob].data, blob)


def test_a_dropped_blob_is_that_of_the_last_forward_where_a_vector_was_refilled() -> None:
    """The engine has the values in no other order: it keeps a copy."""
    planned, plain = make(NETS["vector_input"])
    for net in (planned, plain):
        net.forward()
        net.blobs["data"].data[...] *= -2.0
    for name, blob in plain.blobs.items():
        assert_close(planned.blobs[name].data, blob.data, name)


@pytest.mark.parametrize("held", [True, False])
def test_start_goes_on_from_the_last_forward_where_an_input_was_refilled(held: bool) -> None:
    planned, plain = make(TINY)
    for net in (planned, plain):
        view = net.blobs["data"].data if held else None
        net.forward()
        net.blobs["data"].data[...] = 77.0
        net.forward(start="res2c_branch2b_st")
        assert view is None or (view == 77.0).all()
    assert_close(planned.blobs["prob"].data, plain.blobs["prob"].data, "of the last forward")
    for net in (planned, plain):
        net.forward()
    assert_close(planned.blobs["prob"].data, plain.blobs["prob"].data, "of what was written")


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_backward_is_that_of_the_last_forward_where_an_input_was_refilled(
    name: str, held: bool
) -> None:
    """As in Caffe: the input itself is read as it is now, blobs are those of the forward."""
    planned, plain = make(NETS[name])
    for net in (planned, plain):
        view = net.blobs["data"].data if held else None
        net.forward()
        net.blobs["data"].data[...] *= -2.0
        for output in net.outputs:
            net.blobs[output].diff[...] = 1
        net.backward()
        assert view is None or (view == net.blobs["data"].data).all()
    for layer_name, blobs in plain.params.items():
        for i, blob in enumerate(blobs):
            assert_close(planned.params[layer_name][i].diff, blob.diff, f"{layer_name} {i}")
    for top, blob in plain.blobs.items():
        assert_close(planned.blobs[top].data, blob.data, top)
        assert_close(planned.blobs[top].diff, blob.diff, top)


@pytest.mark.parametrize("shape", [(2, 3, 8, 32, 32), (1, 3, 8, 32, 32), (3, 3, 8, 32, 32)])
def test_other_batch_sizes(shape: tuple[int, ...]) -> None:
    planned, plain = make(TINY)
    planned.forward()
    value = rng_for(str(shape)).normal(0, 50, shape)
    for net in (planned, plain):
        net.blobs["data"].reshape(*shape)
        net.reshape()
        net.blobs["data"].data[...] = value
    assert_close(planned.forward()["prob"], plain.forward()["prob"], str(shape))
    one = planned.blobs["prob"].data[0].copy()
    planned.blobs["data"].reshape(1, *shape[1:])
    planned.blobs["data"].data[...] = value[:1]
    assert_close(planned.forward()["prob"][0], one, "batch 1 equals item 0 of the batch")


def test_fixed_reshape_names_the_cure() -> None:
    larger = TINY.replace("dim: 32 dim: 32", "dim: 48 dim: 48")
    with pytest.raises(RuntimeError, match="--relax-reshape") as refused:
        caffe.Net(larger, caffe.TEST)
    relaxed = caffe.Net(larger, caffe.TEST, relax_reshape=True)
    assert relaxed.blobs["res5a_reshape"].shape == (1, 32, 12, 12)
    (cure,) = re.findall(r"reshape_param \{.*\}", str(refused.value))
    edited = re.sub(r"reshape_param \{ shape \{.*?\} \}", cure, larger)
    assert caffe.Net(edited, caffe.TEST).blobs["res5a_reshape"].shape == (1, 32, 12, 12)
    planned, _ = make(TINY)
    planned.blobs["data"].reshape(1, 3, 8, 48, 48)
    with pytest.raises(RuntimeError, match="--relax-reshape"):
        planned.reshape()


def test_several_threads_on_one_net_and_on_nets_that_share_weights() -> None:
    planned, plain = make(TINY)
    plain.forward()
    other = caffe.Net(TINY, caffe.TEST)
    other.share_with(planned)
    other.blobs["data"].data[...] = planned.blobs["data"].data
    names = [n for n in planned.blobs if n != "data"]
    failures: list[str] = []

    def work(offset: int) -> None:
        net = (planned, other)[offset % 2]
        for name in itertools.islice(itertools.cycle(names[offset:] + names[:offset]), 12):
            try:
                net.forward()
                assert_close(net.blobs[name].data.copy(), plain.blobs[name].data, name)
            except Exception as error:
                failures.append(f"thread {offset}: {error}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


@pytest.mark.skipif("P3D_DEVICE" in os.environ, reason="weights are packed on the host alone")
@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution", "InnerProduct"])
def test_a_net_runs_backward_while_another_packs_their_weights(kind: str) -> None:
    # Of a size that is gone at once when it is freed.
    field = (
        "inner_product_param {" if kind == "InnerProduct" else "convolution_param { kernel_size: 3"
    )
    text = "force_backward: true\n" + data(1, 256, 6, 6)
    text += layer(
        kind, "a", "data", more=f'{field} num_output: 256 weight_filler {{ type: "xavier" }} }}'
    )
    text += layer("Reduction", "sum", "a", more="loss_weight: 1")
    learning, testing = caffe.Net(text, caffe.TRAIN), caffe.Net(text, caffe.TEST)
    testing.share_with(learning)
    ended = threading.Event()

    def test() -> None:
        while not ended.is_set():
            testing.forward()

    thread = threading.Thread(target=test)
    thread.start()
    try:
        sums = set()
        for _ in range(100):
            learning._forward_backward()
            sums.add(float(learning.blobs["data"].diff.sum()))
    finally:
        ended.set()
        thread.join()
    assert len(sums) == 1


def test_after_fork() -> None:
    script = f"""
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
import p3d.caffe as caffe
net = caffe.Net({str(TINY_FILE)!r}, caffe.TEST)
net.blobs["data"].data[...] = np.linspace(-1, 1, net.blobs["data"].count).reshape(1, 3, 8, 32, 32)
expected = net.forward()["prob"].copy()
child = os.fork()
if child == 0:
    same = np.array_equal(net.forward()["prob"], expected)
    same &= np.isfinite(net.blobs["res2b"].data).all()
    os._exit(0 if same else 3)
status = os.waitpid(child, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("phase", [caffe.TEST, caffe.TRAIN])
def test_what_works_in_place_behind_a_dropout_leaves_its_bottom(phase: int) -> None:
    """As in Caffe, whose Dropout copies."""
    text = (
        data(1, 4, 3, 3)
        + layer("Dropout", "d", "data", more="dropout_param { dropout_ratio: 0 }")
        + layer("ReLU", "relu", "d", "d")
        + layer("Concat", "both", "data d")
    )
    net = caffe.Net("force_backward: true\n" + text, phase)
    values = rng_for("dropout").integers(-9, 10, (1, 4, 3, 3)).astype(np.float32)
    for _ in range(2):
        net.blobs["data"].data[...] = values
        both = net.forward()["both"]
        np.testing.assert_array_equal(both, np.concatenate([values, values.clip(0)], axis=1))
        np.testing.assert_array_equal(net.blobs["data"].data, values)
    net.blobs["both"].diff[...] = 1
    net.backward()
    np.testing.assert_array_equal(net.blobs["data"].diff, 1.0 + (values > 0))
