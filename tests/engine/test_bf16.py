"""Inference in bfloat16 on the processor: near float32, and nothing else of a net is another for
it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from plan_nets import NETS, conv, data, layer
from recipe import rng_for

import p3d.caffe as caffe
from p3d import _core, gpu

NEAR = 0.03  # of the largest value
ISAS = _core.isa_names()

pytestmark = pytest.mark.usefixtures("in_bf16")


def net_of(text: str, phase: int = caffe.TEST) -> caffe.Net:
    caffe.set_random_seed(7)
    net = caffe.Net(text, phase)
    net.blobs["data"].data[...] = rng_for("bf16").normal(0, 1, net.blobs["data"].shape)
    return net


def worst(actual: np.ndarray, desired: np.ndarray) -> float:
    return float(np.abs(actual - desired).max()) / max(float(np.abs(desired).max()), 1e-20)


def in_float32(net: caffe.Net) -> dict[str, np.ndarray]:
    caffe.set_precision("float32")
    outputs = {name: blob.copy() for name, blob in net.forward().items()}
    caffe.set_precision("bf16")
    return outputs


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", NETS)
def test_outputs_are_near_to_float32_and_rounded(name: str, isa: str) -> None:
    _core.set_isa(isa)
    net = net_of(NETS[name])
    outputs = {blob: values.copy() for blob, values in net.forward().items()}
    convolves = any(layer.type == "Convolution" for layer in net.layers)
    for blob, expected in in_float32(net).items():
        off = worst(outputs[blob], expected)
        where = f"{name}: {blob} is off by {off:.1e} of the largest value"
        assert off <= NEAR, where
        assert (off > 0) == convolves, where


def test_kernels_say_what_they_take() -> None:
    net = net_of(data(1, 6, 4, 4) + conv("c", "data", 8) + conv("g", "c", 8, "group: 8"))
    kernels = [step["kernel"] for step in net.profile() if step["type"] == "Convolution"]
    assert kernels[0].startswith("conv_bf16_igemm_")
    assert kernels[0].endswith("_emulated") != gpu.processor_has_bf16()
    assert kernels[1].startswith("conv_f32_depthwise_"), "groups of one input are left to floats"


def test_pooling_takes_what_lies_there() -> None:
    """Maxima of bfloat16 are the values themselves; so is a float32 pooling of them."""
    for channels in (1, 3, 33, 70):
        net = net_of(
            data(2, 5, 4, 9, 7)
            + conv("c", "data", channels)
            + layer(
                "Pooling3D",
                "pool",
                "c",
                more="pooling3d_param { pool: MAX kernel_size: 3 kernel_l: 2 stride: 2 pad: 1 }",
            )
        )
        pooled = net.forward()["pool"].copy()
        convolved = net.blobs["c"].data.copy()
        caffe.set_precision("float32")
        net.blobs["c"].data[...] = convolved
        expected = net.forward(start="pool")["pool"]
        np.testing.assert_array_equal(pooled, expected, f"{channels} channels")
        caffe.set_precision("bf16")


def test_pooling_of_floats_is_not_rounded_for_a_convolution_beside_it() -> None:
    pool = layer("Pooling", "pool", "data", more="pooling_param { kernel_size: 2 stride: 2 }")
    net = net_of(data(1, 4, 6, 6) + conv("c", "data", 8) + pool)
    exact = in_float32(net)["pool"]
    np.testing.assert_array_equal(net.forward()["pool"], exact)


def test_kernels_are_of_the_set_that_a_net_was_made_with() -> None:
    net = net_of(NETS["tiny_p3d"])
    _core.set_isa("generic")
    kernels = {step["kernel"] for step in net.profile() if step["type"] == "Convolution"}
    assert all("generic" not in kernel for kernel in kernels), kernels


@pytest.mark.parametrize("held", [False, True], ids=["", "a view is held"])
def test_nets_in_threads_share_weights_that_are_packed_in_several_ways(held: bool) -> None:
    """Winograd's, others by a direct convolution, and floats of a net that could learn."""

    def shared(name: str, bottom: str, more: str) -> str:
        return (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
            'param { name: "shared" } convolution_param { num_output: 48 kernel_size: 3 '
            f'{more} weight_filler {{ type: "xavier" }} bias_term: false }} }}\n'
        )

    text = (
        data(1, 48, 16, 16)
        + shared("a", "data", "pad: 1")
        + shared("b", "a", "pad: 2 dilation: 2")
        + shared("c", "b", "pad: 1")
    )
    nets = [net_of(text), net_of(text), net_of(text, caffe.TRAIN)]
    for net in nets[1:]:
        net.share_with(nets[0])
    view = nets[0].params["a"][0].data if held else None
    wanted = [net.forward()["c"].copy() for net in nets]
    wrong: list[int] = []

    def run(index: int) -> None:
        for _ in range(100):
            if not np.array_equal(nets[index].forward()["c"], wanted[index]):
                wrong.append(index)

    threads = [threading.Thread(target=run, args=[index]) for index in range(len(nets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"{len(wrong)} of 300 forwards differ"
    del view


@pytest.mark.parametrize("planned", [True, False], ids=["planned", "layer by layer"])
@pytest.mark.parametrize("name", ["tiny_p3d", "shared_weights", "two_affine"])
def test_float32_is_what_it_was_afterwards(name: str, planned: bool) -> None:
    net = net_of(NETS[name])
    if not planned:
        net.run_by_layer()
    params = {key: [blob.data.copy() for blob in net.params[key]] for key in net.params}
    before = in_float32(net)
    for _ in range(2):
        rounded = {blob: values.copy() for blob, values in net.forward().items()}
        after = in_float32(net)
        for blob in before:
            assert not np.array_equal(rounded[blob], before[blob])
            np.testing.assert_array_equal(after[blob], before[blob], blob)
    for key, blobs in params.items():
        for i, blob in enumerate(blobs):
            np.testing.assert_array_equal(net.params[key][i].data, blob, f"{key}/{i}")


def test_weights_saved_are_not_rounded(tmp_path) -> None:
    net = net_of(NETS["tiny_p3d"])
    net.forward()
    net.save(str(tmp_path / "after.caffemodel"))
    other = net_of(NETS["tiny_p3d"])
    other.save(str(tmp_path / "before.caffemodel"))
    files = [(tmp_path / f"{name}.caffemodel").read_bytes() for name in ("before", "after")]
    assert files[0] == files[1]


@pytest.mark.parametrize("said", ["tf32", "fp16"])
def test_other_precisions_are_float32_on_the_processor(said: str) -> None:
    net = net_of(NETS["tiny_p3d"])
    expected = in_float32(net)["prob"]
    caffe.set_precision(said)
    assert gpu.actual_precision() == "float32"
    np.testing.assert_array_equal(net.forward()["prob"], expected)


def test_a_new_shape_and_an_empty_batch() -> None:
    net = net_of(data(2, 3, 2, 4, 5) + conv("c", "data", 5))
    net.forward()
    for shape in [(3, 3, 2, 6, 5), (0, 3, 2, 6, 5), (1, 3, 1, 1, 1)]:
        net.blobs["data"].reshape(*shape)
        net.blobs["data"].data[...] = 1
        out = net.forward()["c"]
        assert out.shape == (shape[0], 5, *shape[2:])
        assert np.isfinite(out).all()
