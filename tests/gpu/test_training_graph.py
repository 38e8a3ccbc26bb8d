"""Training on a GPU from graphs: bit for bit what it is step by step, whatever happens between."""

from __future__ import annotations

from pathlib import Path

import pytest
import training_graph_scenarios

FILE = Path(training_graph_scenarios.__file__)
ALL = [found.__name__ for found in training_graph_scenarios.LAUNCHES]
NEAR = [("bf16", name) for name in ("steps", "several_batches", "weights_written", "tests_between")]
NEAR += [("fp16", name) for name in ("steps", "overflow", "gradients_written")]
NEAR += [("tf32", "losses")]


@pytest.mark.parametrize(
    ("precision", "scenario"), [*(("float32", name) for name in ALL if name != "overflow"), *NEAR]
)
def test_equal_to_a_training_step_by_step(precision: str, scenario: str, run) -> None:
    done = run(FILE, scenario, P3D_PRECISION=precision, P3D_CONVOLUTION="own")
    where = f"P3D_CONVOLUTION=own P3D_PRECISION={precision} {FILE.name} {scenario}"
    assert done.returncode == 0, f"{where}:\n{done.stdout}{done.stderr}"
