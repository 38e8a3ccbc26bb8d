"""Trainings on a GPU in fewer digits than float32: python precision_scenarios.py NAME"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import graph_scenarios
import numpy as np
import pytest
import training_nets
from graph_scenarios import ITEMS, OF_FLOATS, ON_GPU
from plan_nets import conv, data, layer

import p3d.caffe as caffe
from p3d import _core
from p3d.caffe import loss_scale
from p3d.caffe.proto import caffe_pb2
from p3d.error import Error

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
from backward_nets import CASES, make

HEAD = data(2, 4, 2, 3, 5)
# Those of test_graph.py behind a convolution, whose gradient goes through them.
BEHIND = {
    name: HEAD + conv("first", "data", 4) + text.removeprefix(HEAD).replace('"data"', '"first"')
    for name, text in ON_GPU.items()
    # No gradient, and one that is 0.
    if not name.startswith(("threshold", "argmax", "batch_norm"))
}
# How far all gradients of a net together may be off, as a part of their length: the nets have BN
# over few values, which makes more of an error.
BOUNDS = {"tf32": 5e-3, "bf16": 0.1, "fp16": 0.02}
TINY = Path(__file__).parents[1] / "golden" / "tiny" / "tiny.prototxt"
PRECISION = os.environ.get("P3D_PRECISION", "float32")


def gradients_of(text: str) -> list[dict[str, np.ndarray]]:
    """Of the parameters: of a planned net, and of one that runs layer by layer."""
    nets = make(text)
    result = []
    for net in nets:
        net._forward_backward()
        result.append(
            {f"{name} {i}": blob.diff.copy() for name, blobs in net.params.items()
             for i, blob in enumerate(blobs)}
        )  # fmt: skip
    return result


def rounded() -> None:
    """Layers that run on the GPU leave values of 8 binary digits, behind a convolution if not of
    what they are given."""
    for name, text in {**ON_GPU, **BEHIND}.items():
        if name in OF_FLOATS:
            continue
        net = graph_scenarios.made(text)
        net.blobs["data"].data[...] = np.random.default_rng(1).normal(size=net.blobs["data"].shape)
        net.forward()
        assert not np.any(net.blobs["top"].data.view(np.uint32) & 0xFFFF), name


def moved() -> None:
    """Layers that only move values keep all digits: they may be numbers of classes."""
    text = data(6, 4, 3) + (
        layer("Slice", "s", "data", "a b", "slice_param { axis: 0 }")
        + layer("Concat", "joined", "b a", more="concat_param { axis: 0 }")
        + layer("Tile", "tiled", "joined", more="tile_param { tiles: 2 axis: 1 }")
        + layer("Crop", "cropped", "tiled data", more="crop_param { axis: 1 offset: 3 offset: 0 }")
        + ITEMS
        + layer("BatchReindex", "top", "cropped items")
    )
    net = graph_scenarios.made(text)
    labels = 1001 + np.arange(net.blobs["data"].count).reshape(net.blobs["data"].shape)
    net.blobs["data"].data[...] = labels
    joined = np.concatenate([labels[3:], labels[:3]])
    expected = np.concatenate([joined, joined], axis=1)[[0, 0, 1], 3:7]
    for _ in range(3):
        np.testing.assert_array_equal(net.forward()["top"], expected)


def length(arrays: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in arrays.values())))


def gradients() -> None:
    """Those of every net are near those of the processor."""
    exact = 0
    for name, text in {**CASES, **BEHIND}.items():
        caffe.set_mode_cpu()
        want = gradients_of(text)[1]
        caffe.set_mode_gpu()
        for got, how in zip(gradients_of(text), ("planned", "layer by layer"), strict=True):
            off = length({key: got[key] - want[key] for key in want})
            assert off <= BOUNDS[PRECISION] * length(want), f"{name}, {how}: {off / length(want)}"
            exact += off == 0
    assert exact < len(CASES) or PRECISION == "tf32", "nothing was rounded to 16 bits"


def solver(folder: str) -> Any:
    return caffe.get_solver(str(training_nets.solver_file(Path(folder))))


def training() -> None:
    """A solver comes to the same weights, as near as its gradients are."""
    with tempfile.TemporaryDirectory() as folder:
        caffe.set_mode_cpu()
        want, got = solver(folder), None
        start = training_nets.weights(want)
        want.step(8)
        caffe.set_mode_gpu()
        got = solver(folder)
        got.step(8)
    learned, reached = training_nets.weights(want), training_nets.weights(got)
    way = {key: learned[key] - start[key] for key in start}
    off = {key: learned[key] - reached[key] for key in start}
    assert length(off) <= BOUNDS[PRECISION] * length(way), length(off) / length(way)


def learned(made: Any) -> dict[str, np.ndarray]:
    """What updates change: BN's running statistics are a forward's."""
    weights = training_nets.weights(made)
    return {key: value for key, value in weights.items() if key not in ("bn/2", "bn/3")}


def too_large_a_scale() -> None:
    """Gradients beyond fp16 leave the weights as they are and halve the factor on the loss."""
    with tempfile.TemporaryDirectory() as folder:
        made = solver(folder)
    scale = made._loss_scale
    scale._scale = 2.0**30
    before = learned(made)
    made.step(1)
    assert made.iter == 1
    assert scale.value == 2.0**29
    training_nets.same(learned(made), before)
    made.step(29)
    assert scale.value < 2.0**29
    assert np.abs(made.net.params["fc1"][0].data - before["fc1/0"]).max() > 0.001
    made.net._forward_backward()  # a person's own step with gradients of any size
    made.apply_update()


def growing_scale() -> None:
    """The factor on the loss doubles after so many good steps, and shows in no weight."""
    loss_scale._PATIENCE = 3
    with tempfile.TemporaryDirectory() as folder:
        one, other = solver(folder), solver(folder)
    other._loss_scale._scale *= 2
    start = one.net.params["fc1"][0].data.copy()
    np.testing.assert_array_equal(other.net.params["fc1"][0].data, start)
    for made in (one, other):
        caffe.set_random_seed(1)
        made.step(4)
    assert one._loss_scale.value == 2 * 2.0**13
    assert np.abs(one.net.params["fc1"][0].data - start).max() > 0.001
    for key, value in training_nets.weights(one).items():
        np.testing.assert_allclose(training_nets.weights(other)[key], value, rtol=0, atol=1e-5)


def resumed_scale() -> None:
    """A snapshot, of either kind, keeps the factor and what it counts; float32 leaves both."""
    loss_scale._PATIENCE = 3
    for kind in ("BINARYPROTO", "HDF5"):
        with tempfile.TemporaryDirectory() as folder:
            made = solver(folder)
            made.param.snapshot_format = getattr(caffe_pb2.SolverParameter, kind)
            made.step(4)
            made.snapshot()
            (state,) = Path(folder).glob("*.solverstate*")
            other = solver(folder)
            other.restore(str(state))
            kept = other._loss_scale
            assert (kept._scale, kept._steps) == (2 * 2.0**13, 1), f"{kind}: {vars(kept)}"
            caffe.set_precision("float32")
            other.step(4)
            assert (kept._scale, kept._steps) == (2 * 2.0**13, 1), f"{kind}: {vars(kept)}"
            caffe.set_precision("fp16")
    for scale in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(Error, match=f"^a loss_scale of {scale} is not possible"):
            kept.restore(caffe_pb2.SolverPlace(loss_scale=scale))


def switching() -> None:
    """From each precision to each other, in one net: weights rounded for one serve no other."""
    net = caffe.Net(str(TINY), caffe.TEST)
    net.blobs["data"].data[...] = np.random.default_rng(1).normal(size=net.blobs["data"].shape)
    caffe.set_mode_cpu()
    caffe.set_precision("float32")
    want = net.forward()["prob"].copy()
    caffe.set_mode_gpu()
    for name in ("float32", "bf16", "float32", "fp16", "tf32", "bf16", "tf32", "fp16", "float32"):
        caffe.set_precision(name)
        for _ in range(2):
            off = np.abs(net.forward()["prob"] - want).max() / want.max()
            assert off <= {"bf16": 0.06, "float32": 1e-5}.get(name, 8e-3), f"{name}: {off}"


def main(name: str) -> None:
    caffe.set_mode_gpu()
    assert _core.precision() == PRECISION
    globals()[name]()


if __name__ == "__main__":
    main(sys.argv[1])
