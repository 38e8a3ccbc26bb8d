"""Solvers against the traces and snapshots of upstream Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_cases import GOLDEN, Case, check, load

import p3d.caffe as caffe
from p3d.caffe import prototxt
from p3d.caffe.proto import caffe_pb2

SOLVERS = GOLDEN / "solvers"
INPUTS = load("solvers", "inputs")
MEAN = np.float32([104, 117, 123]).reshape(1, 3, 1, 1, 1)
# Iterations whose weights the traces have.
STOPS = (1, 2, 5)
TRACES = {
    "sgd": 1e-4,
    "sgd_frozen": 1e-4,
    "nesterov": 1e-4,
    "adagrad": 1e-3,
    "adadelta": 1e-3,
    "adam": 1e-3,
}


def make(case: Case, tmp_path: Path) -> Any:
    net, solver = tmp_path / "net.prototxt", tmp_path / "solver.prototxt"
    net.write_text(str(case["net_prototxt"]))
    solver.write_text(f'{case["solver_prototxt"]}\nnet: "{net}"\n')
    return caffe.get_solver(str(solver))


def fill(solver: Any) -> None:
    batch = f"batch{solver.iter % 4}"
    solver.net.blobs["data"].data[...] = INPUTS[f"{batch}/data_u8"].astype(np.float32) - MEAN
    solver.net.blobs["label"].data[...] = INPUTS[f"{batch}/label"]


def tolerances(case: Case, key: str, least: float) -> float:
    """`least`, or what 50 times the noise that the trace itself records comes to."""
    return max(least, 50 * float(case.get(f"noise/param_final_rel/{key}", 0)))


def check_weights(solver: Any, case: Case, group: str, least: float) -> None:
    found = {key: value for key, value in case.items() if key.startswith(f"{group}/")}
    assert found, group
    for key, value in found.items():
        _, layer, index = key.split("/")
        got = solver.net.params[layer][int(index)].data
        check(got, value.reshape(got.shape), tolerances(case, f"{layer}/{index}", least), key)


@pytest.mark.parametrize("name", TRACES)
def test_trace(name: str, isa: str, tmp_path: Path) -> None:
    case, least = load("solvers", name), TRACES[name]
    solver = make(case, tmp_path)
    for key, value in case.items():
        if key.startswith("param_before/"):
            _, layer, index = key.split("/")
            solver.net.params[layer][int(index)].data[...] = value
    for iteration, loss in enumerate(case["loss"]):
        fill(solver)
        solver.step(1)
        noise = float(case["noise/loss_abs_diff"][iteration])
        got = float(solver.net.blobs["loss"].data)
        assert got == pytest.approx(float(loss), rel=least, abs=max(1e-6, 50 * noise)), iteration
        if iteration + 1 in STOPS:
            check_weights(solver, case, f"param_after_iter{iteration + 1}", least)
    check_weights(solver, case, "param_final", least)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sgd", "sgd_iter_20.solverstate"),
        ("sgd", "sgd_iter_20.solverstate.h5"),
        ("adam", "adam_iter_10.solverstate"),
    ],
)
def test_snapshots_of_upstream_restore(name: str, file: str, tmp_path: Path) -> None:
    case = load("solvers", name)
    solver = make(case, tmp_path)
    solver.restore(SOLVERS / file)
    assert solver.iter == len(case["loss"])
    check_weights(solver, case, "param_final", 0)
    fill(solver)
    solver.step(1)
    assert np.isfinite(solver.net.blobs["loss"].data)


@pytest.mark.parametrize(
    "policy", [k[3:] for k in load("solvers", "lr_policies") if k[:3] == "lr/"]
)
def test_lr_policies(policy: str) -> None:
    case = load("solvers", "lr_policies")
    param = prototxt.parse_message(str(case[f"solver/{policy}"]), caffe_pb2.SolverParameter)
    param.net_param.CopyFrom(prototxt.parse_net(str(case["net_prototxt"])))
    solver = caffe.SGDSolver(param)
    rates = []
    for _ in case[f"lr/{policy}"]:
        rates.append(solver.lr)
        solver.net.clear_param_diffs()
        solver.apply_update()
    np.testing.assert_allclose(rates, case[f"lr/{policy}"], rtol=1e-5)
