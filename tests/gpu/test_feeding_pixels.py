"""Clips that travel to the GPU as bytes are what they are on the processor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("pixel_scenarios.py")
DATA = Path(__file__).parents[1] / "data"


def scenario(run, name: str, **variables: str) -> None:
    path = os.pathsep.join([str(DATA), str(DATA.parent)])
    done = run(FILE, name, PYTHONPATH=path, **variables)
    where = " ".join([*(f"{key}={value}" for key, value in variables.items()), FILE.name, name])
    assert done.returncode == 0, f"{where}:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize("name", ["values", "nets", "changing_kinds", "training_data"])
def test_bytes_become_the_same_values(name: str, precision: str, run) -> None:
    scenario(run, name, P3D_PRECISION=precision)


simulated = pytest.mark.skipif("P3D_CUDA_LIBRARY" in os.environ, reason="what a real GPU forgives")


@pytest.mark.parametrize(
    "name", ["memory", "refusals", pytest.param("touched_too_early", marks=simulated)]
)
def test_the_way_there(name: str, run) -> None:
    scenario(run, name)


@simulated
@pytest.mark.parametrize(
    ("name", "fault"), [("faults", "1"), ("faults", "4"), ("faults", "9"), ("failing_data", "2")]
)
def test_a_fault_on_the_way(name: str, fault: str, run) -> None:
    scenario(run, name, P3D_SIMULATED_FAULT=fault)
