"""The P3D nets against real Caffe's outputs, stage by stage, after a forward through the plan."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from golden_cases import ISAS
from recipe import crc32, fill_params, golden, normal_input, waves_input

import p3d.caffe as caffe
from p3d import _core, models

# Golden file -> key of its noise input, net, options of the generator.
CASES = {
    "p3d199/p3d199_kinetics": ("p3d199/kinetics", "p3d199-kinetics", {}),
    "p3d199/p3d199_kinetics_flow": ("p3d199/kinetics_flow", "p3d199-kinetics-flow", {}),
    "zoo/p3d/p3d131": ("zoo/p3d131", "p3d131-kinetics", {}),
    "zoo/p3d/p3d63": ("zoo/p3d63", "p3d63-kinetics", {}),
    "zoo/p3d/p3d63_b1names": ("zoo/p3d63_b1names", "p3d63-kinetics", {"numbered": True}),
    "zoo/p3d/p3d63_crop112_n2": (
        "zoo/p3d63_crop112_n2",
        "p3d63-kinetics",
        {"crop": 112, "batch": 2},
    ),
    "zoo/p3d/p3d63_onlyA": ("zoo/p3d63_onlyA", "p3d63-kinetics", {"crop": 112, "kinds": "A"}),
    "zoo/p3d/p3d63_onlyC": ("zoo/p3d63_onlyC", "p3d63-kinetics", {"crop": 112, "kinds": "C"}),
}
# With every instruction set: the deepest, and the one of odd sizes and two clips.
EVERYWHERE = ("p3d199/p3d199_kinetics", "zoo/p3d/p3d63_crop112_n2")
RUNS = [(case, isa) for case in CASES for isa in (ISAS if case in EVERYWHERE else ISAS[-1:])]
TOLERANCE = 1e-4  # of the largest value
BF16_TOLERANCE = 0.03


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest):
    """(name, golden arrays, prototxt, the parameters by layer)"""
    _, name, options = CASES[request.param]
    shapes = models.blobs(name, **options)
    params = {
        layer: [fill_params(layer, i, shape) for i, shape in enumerate(blobs)]
        for layer, blobs in shapes.items()
    }
    yield request.param, golden(request.param), models.prototxt(name, **options), params
    params.clear()
    gc.collect()


def clip(case_name: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "waves":
        return waves_input(shape)
    return normal_input(CASES[case_name][0], shape, 50)


def worst(actual: np.ndarray, desired: np.ndarray, largest: float) -> float:
    return float(np.abs(actual - desired).max()) / largest


@pytest.mark.parametrize(("case", "isa"), RUNS, indirect=["case"])
def test_stages(case, isa: str) -> None:
    name, facts, text, params = case
    before = _core.isa()
    _core.set_isa(isa)
    try:
        net = caffe.Net(text, caffe.TEST)
    finally:
        _core.set_isa(before)
    for layer, blobs in params.items():
        for blob, value in zip(net.params[layer], blobs, strict=True):
            blob.data[...] = value
    for kind in ("noise", "waves"):
        x = clip(name, kind, net.blobs["data"].shape)
        assert crc32(x) == facts[f"{kind}/input_crc32"], "the recipe of the input changed"
        net.blobs["data"].data[...] = x
        # The fastest set makes stages when they are asked for, the others keep them.
        asked_later = isa == ISAS[-1]
        outputs = net.forward(blobs=None if asked_later else stages_of(facts, kind))
        assert net._net.planned
        check_outputs(net, outputs, facts, kind, f"{name} {kind} {isa}")
    kernels = {row["kernel"] for row in net.profile() if row["type"] == "Convolution"}
    assert all(kernel.endswith(isa) for kernel in kernels), kernels


@pytest.mark.parametrize("case", EVERYWHERE, indirect=True)
def test_stages_in_bf16(case) -> None:
    name, facts, text, params = case
    caffe.set_precision("bf16")
    try:
        net = caffe.Net(text, caffe.TEST)
        for layer, blobs in params.items():
            for blob, value in zip(net.params[layer], blobs, strict=True):
                blob.data[...] = value
        for kind in ("noise", "waves"):
            net.blobs["data"].data[...] = clip(name, kind, net.blobs["data"].shape)
            outputs = net.forward(blobs=stages_of(facts, kind))
            check_outputs(net, outputs, facts, kind, f"{name} {kind} bf16", BF16_TOLERANCE)
    finally:
        caffe.set_precision("float32")


def stages_of(facts, kind: str) -> list[str]:
    """Blobs of which the file has values, in the net's order."""
    ends = (f"{kind}/stage/", "/index")
    stages = [k.split("/")[2] for k in facts if k.startswith(ends[0]) and k.endswith(ends[1])]
    assert len(stages) > 10
    return stages


def check_outputs(net, outputs, facts, kind: str, where: str, most: float = TOLERANCE) -> None:
    """The outputs, then the stages' stored values, asked for from the back."""
    fc = next(name for name in net.blobs if name.startswith("fc_"))
    for blob, key in ((net.outputs[0], "prob"), (fc, "fc"), ("pool5", "pool5")):
        stated = facts[f"{kind}/{key}"]
        actual = (outputs.get(blob) if blob in outputs else net.blobs[blob].data).reshape(
            stated.shape
        )
        off = worst(actual, stated, float(np.abs(stated).max()))
        assert off < most, f"{where}: {blob} is off by {off:.1e}"
    prefix = f"{kind}/stage/"
    for stage in reversed(stages_of(facts, kind)):
        stored = {
            key: facts[f"{prefix}{stage}/{key}"]
            for key in ("index", "value", "shape", "mean_std_min_max")
        }
        data = net.blobs[stage].data
        assert data.shape == tuple(stored["shape"]), f"{where}: shape of {stage}"
        largest = float(np.abs(stored["mean_std_min_max"][2:]).max())
        off = worst(data.ravel()[stored["index"]], stored["value"], largest)
        assert off < most, f"{where}: {stage} is off by {off:.1e}"
