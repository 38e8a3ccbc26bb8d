"""The gradient of every layer against central differences, in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_cases import DoubleNet
from gradient_cases import CASES, Case, Shape
from one_layer import text_of
from recipe import rng_for

import p3d.caffe as caffe
from p3d import _core
from p3d.caffe import data_layers

STEP = 1e-5
SAMPLES = 16  # coordinates of each blob

# Types that no gradient passes, or that have neither bottoms nor parameters.
WITHOUT = {"Accuracy", "ArgMax", "DummyData", "Input", "Python", "Silence", "Threshold"}
WITHOUT |= data_layers.MODULES.keys()


def draw(kind: Any, shape: Shape, key: str) -> np.ndarray:
    """Distinct values that stay away from each other and from 0, in random order."""
    rng = rng_for(key)
    if not isinstance(kind, str):
        return np.array(kind, float).reshape(shape)
    if kind == "normal":
        return rng.normal(0, 0.5, shape)
    count = int(np.prod(shape))
    values = (rng.permutation(count) + 0.5 + rng.uniform(-0.2, 0.2, count)) / max(1, count)
    if kind == "positive":
        return values.reshape(shape) + 0.2
    return (2 * values - 1).reshape(shape)


class Problem:
    """The sum of all tops times fixed weights, as a function of bottoms and parameters."""

    def __init__(self, name: str, case: Case) -> None:
        shapes = [bottom.shape for bottom in case.bottoms]
        text = text_of(case.layer, *shapes, tops=case.tops, in_place=case.in_place)
        self.net = DoubleNet(
            f"force_backward: true\n{text}", caffe.TRAIN if case.train else caffe.TEST
        )
        self.values = {
            f"b{i}": draw(bottom.values, bottom.shape, f"{name}/b{i}")
            for i, bottom in enumerate(case.bottoms)
        }
        for i, blob in enumerate(self.net.params["layer"]):
            if case.params != "none":
                blob.data[...] = draw(case.params, blob.shape, f"{name}/param{i}")
        self.tops = ["b0"] if case.in_place else [f"t{i}" for i in range(case.tops)]
        self.forward()
        self.weights = {
            top: rng_for(f"{name}/{top}").normal(0, 1, self.net.blobs[top].shape)
            for top in self.tops
        }

    def forward(self) -> None:
        for name, value in self.values.items():
            self.net.blobs[name].data[...] = value
        _core.set_random_seed(1701)
        self.net.forward()

    def value(self) -> float:
        self.forward()
        return float(sum((self.net.blobs[t].data * w).sum() for t, w in self.weights.items()))

    def gradients(self, bottoms: list[str]) -> dict[str, np.ndarray]:
        self.forward()
        self.net.clear_param_diffs()
        for top, weights in self.weights.items():
            self.net.blobs[top].diff[...] = weights
        self.net.backward()
        found = {name: self.net.blobs[name].diff.copy() for name in bottoms}
        for i, blob in enumerate(self.net.params["layer"]):
            found[f"param{i}"] = blob.diff.copy()
        return found

    def slope(self, array: np.ndarray, index: Any) -> float:
        """By `array[index]`, of an array that `value` reads."""
        before = array[index]
        values = []
        for step in (STEP, -STEP):
            array[index] = before + step
            values.append(self.value())
        array[index] = before
        return (values[0] - values[1]) / (2 * STEP)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    case = CASES[name]
    problem = Problem(name, case)
    bottoms = [f"b{i}" for i, bottom in enumerate(case.bottoms) if bottom.gradient]
    found = problem.gradients(bottoms)
    assert found, "the case has no gradient to check"
    statistics = {"BN": {2, 3}, "BatchNorm": {0, 1, 2}}.get(case.type, set())
    frozen = {0, 1} if name == "BN frozen" else set()
    for key, gradient in found.items():
        param = int(key.removeprefix("param")) if key.startswith("param") else None
        if param in statistics | frozen:
            assert not gradient.any(), f"{name}: {key} has a gradient"
            continue
        array = problem.values[key] if param is None else problem.net.params["layer"][param].data
        indices = list(np.ndindex(array.shape))
        picked = rng_for(f"{name}/{key}/picked").permutation(len(indices))[:SAMPLES]
        scale = max(1.0, np.abs(gradient).max(initial=0))
        for index in (indices[i] for i in picked):
            slope = problem.slope(array, index)
            assert abs(slope - gradient[index]) <= case.tolerance * scale, (
                f"{name}: the gradient of {key}{list(index)} is {gradient[index]}, "
                f"differences say {slope}"
            )


def test_every_type_has_a_case() -> None:
    assert {case.type for case in CASES.values()} | WITHOUT == set(_core.layer_types())


def test_a_wrong_gradient_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Problem.gradients

    def wrong(self: Problem, bottoms: list[str]) -> dict[str, np.ndarray]:
        return {name: 1.001 * value for name, value in right(self, bottoms).items()}

    monkeypatch.setattr(Problem, "gradients", wrong)
    with pytest.raises(AssertionError, match="differences say"):
        test_gradients("TanH")
