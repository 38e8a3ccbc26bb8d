"""Trainings in fewer digits than float32, and how they are asked for; inference: test_graph.py."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.mark.parametrize("scenario", ["too_large_a_scale", "growing_scale"])
def test_losses_are_scaled_in_fp16(scenario: str, run) -> None:
    done = run(FILE, scenario, P3D_PRECISION="fp16")
    assert done.returncode == 0, f"P3D_PRECISION=fp16 {FILE.name} {scenario}:\n{done.stderr}"


def test_the_command_line_says_how(run) -> None:
    command = ["-m", "p3d", "time", TINY, "--device", "cuda:0", "--precision"]
    done = run(*command, "bf16", "--iterations", "1")
    assert done.returncode == 0, done.stderr
    assert "bf16" in done.stdout
    done = run(*command, "int4")
    assert done.returncode == 2
    assert "'float32', 'tf32', 'bf16', 'fp16'" in done.stderr


def test_an_unknown_precision_is_refused(run) -> None:
    done = run("-c", "import p3d.caffe as c; c.set_precision('half')")
    assert "there is no precision 'half'; there are float32, tf32, bf16 and fp16" in done.stderr
    done = run("-m", "p3d", "info", TINY, P3D_PRECISION="half")
    assert done.returncode in (0, 1)


def test_nothing_changes_on_the_processor() -> None:
    code = (
        "import sys, p3d.caffe as c; c.set_precision(sys.argv[1]); c.set_random_seed(1);"
        f"n = c.Net({str(TINY)!r}, c.TEST); n.blobs['data'].data[...] = 1;"
        "print(n.forward()['prob'].tobytes().hex())"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code, name], capture_output=True, check=True).stdout
        for name in ("float32", "bf16")
    }
    assert len(outputs) == 1
