"""Trainings in fewer digits than float32, and how they are asked for; inference: test_graph.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("precision_scenarios.py")
TINY = Path(__file__).parents[1] / "golden" / "tiny" / "tiny.prototxt"


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize("scenario", ["gradients", "training"])
def test_near_to_float32(scenario: str, precision: str, run) -> None:
    done = run(FILE, scenario, P3D_PRECISION=precision)
    where = f"P3D_PRECISION={precision} {FILE.name} {scenario}"
    assert done.returncode == 0, f"{where}:\n{done.stdout}{done.stderr}"


def test_values_have_16_bits(run) -> None:
    done = run(FILE, "rounded", P3D_PRECISION="bf16")
    assert done.returncode == 0, f"P3D_PRECISION=bf16 {FILE.name} rounded:\n{done.stderr}"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_what_is_only_moved_keeps_all_digits(precision: str, run) -> None:
    done = run(FILE, "moved", P3D_PRECISION=precision)
    assert done.returncode == 0, f"P3D_PRECISION={precision} {FILE.name} moved:\n{done.stderr}"


@pytest.mark.parametrize("scenario", ["too_large_a_scale", "growing_scale", "resumed_scale"])
def test_losses_are_scaled_in_fp16(scenario: str, run) -> None:
    done = run(FILE, scenario, P3D_PRECISION="fp16")
    assert done.returncode == 0, f"P3D_PRECISION=fp16 {FILE.name} {scenario}:\n{done.stderr}"


def test_it_can_change_between_forwards(run) -> None:
    done = run(FILE, "switching")
    assert done.returncode == 0, f"{FILE.name} switching:\n{done.stdout}{done.stderr}"


def test_the_command_line_says_how(run) -> None:
    command = ["-m", "p3d", "time", TINY, "--device", "cuda:0", "--precision"]
    done = run(*command, "bf16", "--iterations", "1")
    assert done.returncode == 0, done.stderr
    assert "bf16" in done.stdout
    done = run(*command, "int4")
    assert done.returncode == 2
    assert "'float32', 'tf32', 'bf16', 'fp16'" in done.stderr


@pytest.mark.skipif("P3D_CUDA_LIBRARY" in os.environ, reason="a real GPU is what it is")
def test_an_old_gpu_has_no_bf16(run) -> None:
    message = "bf16 needs a GPU of compute capability 8.0 or newer, GPU 0 (simulated GPU) has 7.0"
    command = ["-m", "p3d", "time", TINY, "--device", "cuda:0", "--precision", "bf16"]
    done = run(*command, P3D_SIMULATED_CAPABILITY="7")
    assert done.returncode == 1
    assert message in done.stderr
    done = run("-m", "p3d", "info", TINY, P3D_PRECISION="bf16", P3D_SIMULATED_CAPABILITY="7")
    assert done.returncode == 0, "nothing runs on the GPU"
    code = "import p3d.caffe as c; c.set_precision({!r}); c.set_device(0)"
    assert message in run("-c", code.format("bf16"), P3D_SIMULATED_CAPABILITY="7").stderr
    done = run("-c", code.format("fp16"), P3D_SIMULATED_CAPABILITY="7")
    assert done.returncode == 0, done.stderr


def test_an_unknown_precision_is_refused(run) -> None:
    done = run("-c", "import p3d.caffe as c; c.set_precision('half')")
    assert "there is no precision 'half'; there are float32, tf32, bf16 and fp16" in done.stderr
    done = run("-m", "p3d", "time", TINY, P3D_PRECISION="half")
    assert "there is no precision 'half'" in done.stderr
