"""The arithmetic of every type of solver, against its formula in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from recipe import rng_for
from training_nets import solver_file

import p3d.caffe as caffe
from p3d import Error
from p3d.caffe import solver_file as solver_files
from p3d.caffe.learning_rate import LearningRate

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 2 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" param { lr_mult: 2 decay_mult: 3 }
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
X, T = rng_for("x").normal(0, 1, (4, 3)), rng_for("t").normal(0, 1, (4, 2))
BASE, WEIGHT_DECAY, DELTA = 0.01, 0.1, 1e-3
RATE, DECAY = BASE * 2, WEIGHT_DECAY * 3  # by the layer's lr_mult and decay_mult
M, M2 = 0.9, 0.999

Array = np.ndarray
# From the gradient, two moments and the number of updates so far: the step and the moments.
Rule = Callable[[Array, Array, Array, int], tuple[Array, Array, Array]]


def sgd(g: Array, a: Array, b: Array, k: int, dampening: float = 0) -> tuple[Array, Array, Array]:
    a = M * a + RATE * g * (1 - dampening if k else 1)
    return a, a, b


def nesterov(g: Array, a: Array, b: Array, k: int) -> tuple[Array, Array, Array]:
    new = M * a + RATE * g
    return (1 + M) * new - M * a, new, b


def adagrad(g: Array, a: Array, b: Array, k: int) -> tuple[Array, Array, Array]:
    a = a + g**2
    return RATE * g / (np.sqrt(a) + DELTA), a, b


def rmsprop(g: Array, a: Array, b: Array, k: int) -> tuple[Array, Array, Array]:
    a = 0.8 * a + 0.2 * g**2
    return RATE * g / (np.sqrt(a) + DELTA), a, b


def adadelta(g: Array, a: Array, b: Array, k: int) -> tuple[Array, Array, Array]:
    a = M * a + (1 - M) * g**2
    step = g * np.sqrt((b + DELTA) / (a + DELTA))
    return RATE * step, a, M * b + (1 - M) * step**2


def adam(g: Array, a: Array, b: Array, k: int) -> tuple[Array, Array, Array]:
    a, b = M * a + (1 - M) * g, M2 * b + (1 - M2) * g**2
    corrected = np.sqrt(1 - M2 ** (k + 1)) / (1 - M ** (k + 1))
    return RATE * corrected * a / (np.sqrt(b) + DELTA), a, b


class Case(NamedTuple):
    kind: str
    fields: str
    rule: Rule
    l1: bool = False
    clip: float = np.inf
    iter_size: int = 1


CASES = [
    Case("SGD", "momentum: 0.9", sgd),
    Case("SGD", "momentum: 0.9 dampening: 0.2", lambda *args: sgd(*args, dampening=0.2)),
    Case("SGD", 'momentum: 0.9 regularization_type: "L1"', sgd, l1=True),
    Case("SGD", "momentum: 0.9 clip_gradients: 0.3", sgd, clip=0.3),
    Case("SGD", "momentum: 0.9 clip_gradients: 0.3 iter_size: 3", sgd, clip=0.3, iter_size=3),
    Case("Nesterov", "momentum: 0.9", nesterov),
    Case("AdaGrad", "", adagrad),
    Case("RMSProp", "rms_decay: 0.8", rmsprop),
    Case("AdaDelta", "momentum: 0.9", adadelta),
    Case("Adam", "momentum: 0.9", adam),
    Case("AdamW", "momentum: 0.9", adam),
]


def solver_text(kind: str, fields: str) -> str:
    given = f'type: "{kind}" base_lr: {BASE} lr_policy: "fixed" weight_decay: {WEIGHT_DECAY}'
    given += f" delta: {DELTA}" * ("delta:" not in fields)
    return f"{given} {fields}\nnet_param {{ {NET} }}"


def gradient(case: Case, w: Array) -> Array:
    """After clipping, the mean over iter_size and the decay."""
    g = case.iter_size * (X @ w.T - T).T @ X / len(X)
    g *= min(1, case.clip / np.linalg.norm(g)) / case.iter_size
    if case.kind == "AdamW":
        return g
    return g + DECAY * (np.sign(w) if case.l1 else w)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind} {case.fields}")
def test_steps(case: Case) -> None:
    solver = caffe.get_solver(solver_text(case.kind, case.fields))
    solver.net.blobs["x"].data[...] = X
    solver.net.blobs["t"].data[...] = T
    w = solver.net.params["fc"][0].data.astype(float)
    a = b = np.zeros_like(w)
    for k in range(8):
        step, a, b = case.rule(gradient(case, w), a, b, k)
        w = w - step - (RATE * DECAY * w if case.kind == "AdamW" else 0)
    solver.step(8)
    np.testing.assert_allclose(solver.net.params["fc"][0].data, w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("number", "name"), [(1, "Nesterov"), (3, "RMSProp"), (5, "Adam")])
def test_old_solver_types(number: int, name: str) -> None:
    text = solver_text("SGD", "").replace('type: "SGD"', f"solver_type: {number}", 1)
    assert caffe.get_solver(text).type == name


def test_two_types_are_refused() -> None:
    with pytest.raises(Error, match="both type and solver_type"):
        caffe.get_solver(solver_text("SGD", "solver_type: ADAM"))


def test_a_path_may_have_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = solver_file(tmp_path / "run:07")
    assert caffe.get_solver(str(path)).iter == 0
    monkeypatch.chdir(tmp_path)
    assert caffe.get_solver("run:07/solver.prototxt").iter == 0
    with pytest.raises(Error, match=r"gone:1/solver\.prototxt"):
        caffe.get_solver(str(tmp_path / "gone:1/solver.prototxt"))


BAD: list[tuple[str, str, str]] = [
    ("Adan", "", "no solver type 'Adan'; did you mean 'Adam'"),
    ("SGD", "momentum: 1", "momentum is 1; it has to be from 0 to below 1"),
    ("AdaGrad", "momentum: 0.9", "AdaGrad has no momentum"),
    ("Adam", "dampening: 0.1", "dampening is for the solver type SGD"),
    ("SGD", 'regularization_type: "L3"', "no regularization_type 'L3'"),
    ("SGD", "power: nan", "power is nan; it has to be a finite number"),
    ("SGD", "clip_gradients: inf", "clip_gradients is inf"),
    ("SGD", "iter_size: 0", "iter_size is 0; it has to be 1 or more"),
    ("SGD", "test_iter: 1", "test nets but no test_interval"),
    ("SGD", "test_iter: -1", "test_iter is -1; it has to be 0 or more"),
    ("SGD", 'net: "other.prototxt"', "the net to train is one of"),
    ("SGD", "test_interval: 2 test_iter: 1 test_state { } test_state { }", "test_state is given 2"),
    ("SGD", 'weights: "gone.caffemodel"', "solver: there is no file gone.caffemodel"),
    ("AdaGrad", "delta: -1", "delta is -1; it has to be 0 or more"),
]


@pytest.mark.parametrize(("kind", "fields", "part"), BAD)
def test_bad_solvers(kind: str, fields: str, part: str) -> None:
    with pytest.raises(Error, match=part):
        caffe.get_solver(solver_text(kind, fields))


@pytest.mark.parametrize(
    ("policy", "part"),
    [
        ('"stp"', "no lr_policy 'stp'; did you mean 'step'"),
        ('"step" gamma: 0.1', "needs a stepsize"),
        ('"sigmoid" gamma: 0.1', "needs a stepsize"),
        ('"poly"', "needs a max_iter"),
        ('"plateau" gamma: 0.1', "needs a plateau_winsize"),
        ('"plateau" plateau_winsize: 5 plateau_winsize: 0', "plateau_winsize is 0; it has to be 1"),
        ('"exp" gamma: -1', "needs a gamma of 0 or more"),
    ],
)
def test_bad_policies(policy: str, part: str) -> None:
    with pytest.raises(Error, match=part):
        caffe.get_solver(solver_text("SGD", "").replace('"fixed"', policy))


@pytest.mark.parametrize("values", [(2, 5), (5, 2), (2, 2)])
def test_steps_that_do_not_grow_are_taken_as_in_caffe_and_told(
    values: tuple[int, int], caplog: Any
) -> None:
    steps = " ".join(f"stepvalue: {value}" for value in values)
    text = f'base_lr: 1 lr_policy: "multistep" gamma: 0.5 {steps}\nnet_param {{ {NET} }}'
    rate = LearningRate(solver_files.load(text)[0], "mine.prototxt")
    rates = []
    for iteration in range(8):
        rate.advance(iteration)
        rates.append(rate.at(iteration))
    first, second = values[0], max(values[1], values[0] + 1)
    assert rates == [0.5 ** ((i >= first) + (i >= second)) for i in range(8)]
    told = "mine.prototxt: stepvalue is {}, {}, which does not grow".format(*values)
    assert (told in caplog.text) == (values != (2, 5))


@pytest.mark.parametrize(("power", "rates"), [(1, (0, -0.25)), (2, (0, 0.0625)), (0.5, (0, 0))])
def test_poly_beyond_max_iter(power: float, rates: tuple[float, float]) -> None:
    text = f'base_lr: 1 lr_policy: "poly" power: {power} max_iter: 4\nnet_param {{ {NET} }}'
    rate = LearningRate(solver_files.load(text)[0], "solver")
    assert (rate.at(4), rate.at(5)) == rates


@pytest.mark.parametrize("policy", ['"exp" gamma: 1e30', '"inv" gamma: 1 power: -1e30'])
def test_a_rate_beyond_all_numbers_is_infinite(policy: str) -> None:
    solver = caffe.get_solver(f"base_lr: 1 lr_policy: {policy}\nnet_param {{ {NET} }}")
    solver.iter = 99
    assert solver.lr == math.inf


def test_debug_info_speaks_when_the_loss_is_shown(caplog: Any) -> None:
    caplog.set_level("INFO", "p3d")
    solver = caffe.get_solver(solver_text("SGD", "debug_info: true display: 2"))
    solver.step(3)
    lines = [line for line in caplog.messages if "[Forward] Layer fc, top blob y" in line]
    assert len(lines) == 2
