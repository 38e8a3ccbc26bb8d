"""Tests of the engine and of what stands on it, with nets on a GPU."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each in a process of its own, since an address that is not the host's ends it: tests at least.
FILES = {
    "tests/engine/test_golden_layers.py": 100,
    "tests/engine/test_golden_train.py": 3,
    "tests/engine/test_numeric_gradients.py": 50,
    "tests/engine/test_order_of_values.py": 20,
    "tests/engine/test_plan.py": 50,
    "tests/engine/test_repeating.py": 20,
    "tests/engine/test_training_plan.py": 50,
    "tests/training/test_golden_solvers.py": 10,
    "tests/caffe/test_pycaffe.py": 40,
}


@pytest.mark.parametrize("file", FILES)
def test_on_a_gpu(file: str, run) -> None:
    options = ["-q", "-ra", "-p", "no:cacheprovider", "--rootdir", ROOT, "-c"]
    command = ["-m", "pytest", *options, ROOT / "pyproject.toml", ROOT / file]
    done = run(*command, P3D_DEVICE="cuda:0")
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, f"P3D_DEVICE=cuda:0: {done.stdout[-6000:]}{done.stderr}"
    assert passed
    assert int(passed[1]) >= FILES[file], f"too few tests ran:\n{done.stdout}"
