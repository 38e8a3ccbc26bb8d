"""Every golden case of a single layer, forward and backward, with every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_cases import Case, build, check, load, names, passes

from p3d import _core

TOLERANCE = 1e-5
KERNEL_TYPES = ("Convolution", "InnerProduct", "LSTM")
# Where a gradient is not Caffe's.
OTHER_GRADIENTS = {
    # There the blob and the top share a diff: what clears one erases the other.
    "layers_more/parameter",
    # There an in-place ReLU takes what a negative slope made positive for positive.
    "layers_more/relu_slope_inplace",
}
CASES = [f"{folder}/{name}" for folder in ("layers", "layers_more") for name in names(folder)]


@pytest.mark.parametrize("way", ["plan", "layers", "double"])
@pytest.mark.parametrize("name", CASES)
def test_layer(name: str, isa: str, way: str) -> None:
    case = load(*name.split("/", 1))
    check_passes(name, case, build(case, way))


def has_kernels(case: Case) -> bool:
    return any(f'type: "{kind}"' in str(case["prototxt"]) for kind in KERNEL_TYPES)


def wide_bottoms(case: Case) -> list[int]:
    """Bottoms with enough axes for a convolution."""
    first = next(passes(case))
    return [i for i in range(int(case["n_bottom"])) if first[f"bottom{i}"].ndim > 2]


@pytest.mark.parametrize("way", ["plan", "layers"])
@pytest.mark.parametrize("name", [n for n in CASES if wide_bottoms(load(*n.split("/", 1)))])
def test_layer_behind_convolutions(name: str, way: str) -> None:
    """Values that come from a convolution lie in the engine's own order."""
    case = load(*name.split("/", 1))
    wide = wide_bottoms(case)
    case = behind_convolutions(case, wide)
    net = build(case, way)
    for i in wide:
        (weights,) = net.params[f"copy{i}"]
        weights.data[...] = np.eye(weights.shape[0]).reshape(weights.shape)
    check_passes(name, case, net)


def behind_convolutions(case: Case, bottoms: list[int]) -> Case:
    """The case with a convolution that copies between these inputs and the layer."""
    inputs, layer = str(case["prototxt"]).split('layer {\n  name: "layer"')
    tops = [str(top) for top in case["tops"]]
    for i in bottoms:
        value = next(passes(case))[f"bottom{i}"]
        ones = "kernel_size: 1 " * (value.ndim - 2)
        inputs += (
            f'layer {{ name: "copy{i}" type: "Convolution" bottom: "b{i}" top: "c{i}" '
            f"convolution_param {{ num_output: {value.shape[1]} bias_term: false {ones} }} }}\n"
        )
        layer = layer.replace(f'"b{i}"', f'"c{i}"')
        tops = [f"c{i}" if top == f"b{i}" else top for top in tops]
    text = f'{inputs}layer {{\n  name: "layer"{layer}'
    return {**case, "prototxt": np.array(text), "tops": np.array(tops)}


def check_passes(name: str, case: Case, net: Any) -> None:
    for number, expected in enumerate(passes(case)):
        for i in range(int(case["n_bottom"])):
            net.blobs[f"b{i}"].data[...] = expected[f"bottom{i}"]
        net.forward()
        where = f"pass {number} of {name}, "
        for i, top in enumerate(case["tops"]):
            check(net.blobs[str(top)].data, expected[f"top{i}"], TOLERANCE, f"{where}top {i}")
        for key, value in expected.items():
            if key.startswith("param_after"):
                index = int(key.removeprefix("param_after"))
                check(net.params["layer"][index].data, value, TOLERANCE, where + key)
        if bool(case["has_backward"]) and name not in OTHER_GRADIENTS:
            check_backward(where, case, net, expected)


def check_backward(where: str, case: Case, net: Any, expected: Case) -> None:
    """Gradients from a diff of the first top."""
    if bool(case["diffs_cleared"]):
        net.clear_param_diffs()
    net.blobs[str(case["tops"][0])].diff[...] = expected["top_diff0"]
    net.backward()
    for key, value in expected.items():
        kind, index = key.rstrip("0123456789"), key[len(key.rstrip("0123456789")) :]
        if kind == "bottom_diff":
            check(net.blobs[f"b{index}"].diff, value, TOLERANCE, where + key)
        elif kind == "param_diff":
            check(net.params["layer"][int(index)].diff, value, TOLERANCE, where + key)


@pytest.mark.parametrize("name", [n for n in CASES if has_kernels(load(*n.split("/", 1)))])
def test_kernels_use_the_forced_set(name: str, isa: str) -> None:
    if _core.gpu_mode():
        pytest.skip("kernels of the GPU have no instruction set")
    net = build(load(*name.split("/", 1)), "plan")
    kernels = [layer.kernel for layer in net.layers if layer.type in KERNEL_TYPES]
    assert kernels
    assert all(isa in kernel for kernel in kernels), f"{name} ran {kernels}, not {isa}"


def test_comparison_can_fail() -> None:
    want = np.array([1.0, -3.0e38, 2.0], np.float32)
    check(want + np.float32([1e-6, 0, 0]), want, TOLERANCE, "near")
    for other in ([1.0001, -3.0e38, 2], [1, -3.1e38, 2], [np.nan, -3.0e38, 2], [1, np.nan, 2]):
        with pytest.raises(AssertionError, match="off by"):
            check(np.float32(other), want, TOLERANCE, "wrong")
    with pytest.raises(AssertionError, match="shape"):
        check(want[None], want, TOLERANCE, "wrong")
