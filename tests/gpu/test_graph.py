"""Inference on a GPU as one graph: the same values, whatever happens between two forwards."""

from __future__ import annotations

import os
from pathlib import Path

import graph_scenarios
import pytest

FILE = Path(graph_scenarios.__file__)


@pytest.mark.parametrize("scenario", [found.__name__ for found in graph_scenarios.LAUNCHES])
def test_values_are_those_of_the_processor(scenario: str, run) -> None:
    done = run(FILE, scenario)
    assert done.returncode == 0, f"{FILE.name} {scenario}:\n{done.stdout}{done.stderr}"


NEAR = [("bf16", found.__name__) for found in graph_scenarios.LAUNCHES]
NEAR += [
    (other, name)
    for other in ("tf32", "fp16")
    for name in ("changing_inputs", "small_nets", "on_gpu")
]


@pytest.mark.parametrize(("precision", "scenario"), NEAR)
def test_values_of_fewer_digits_are_near(precision: str, scenario: str, run) -> None:
    done = run(FILE, scenario, P3D_PRECISION=precision)
    where = f"P3D_PRECISION={precision} {FILE.name} {scenario}"
    assert done.returncode == 0, f"{where}:\n{done.stdout}{done.stderr}"


@pytest.mark.skipif("P3D_CUDA_LIBRARY" in os.environ, reason="a real GPU captures")
@pytest.mark.parametrize("scenario", ["changing_inputs", "weights_written"])
def test_without_graphs_it_goes_step_by_step(scenario: str, run) -> None:
    done = run(FILE, scenario, 0, P3D_SIMULATED_CAPTURE="0")
    assert done.returncode == 0, f"{FILE.name} {scenario}:\n{done.stdout}{done.stderr}"
