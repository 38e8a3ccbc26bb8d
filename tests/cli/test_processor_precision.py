"""--precision where nets run on the processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import p3d.caffe as caffe
from p3d import _core, gpu

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"
TINY = str(GOLDEN / "tiny.prototxt")
NET = ["--net", TINY, "--weights", str(GOLDEN / "tiny_seeded.caffemodel")]

TIME = ("time", TINY, "--iterations", "1")


def p3d(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "p3d", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_an_extraction_says_what_it_computed_in(tmp_path, real_video) -> None:
    kinds = {"float32": "float32", "bf16": "bf16", "": "bf16"}
    features = []
    for number, (said, taken) in enumerate(kinds.items()):
        out = tmp_path / str(number)
        option = ["--precision", said] if said else []
        done = p3d(
            "extract", str(real_video), *NET, "--out", str(out), *option,
            **({} if said else {"P3D_PRECISION": "bf16"}),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads((out / "bikes.json").read_text())["precision"] == taken
        features.append(np.load(out / "bikes.npy"))
    exact, rounded, by_variable = features
    np.testing.assert_array_equal(rounded, by_variable)
    off = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 0 < off < 0.03
    # Results of another precision are not taken for these.
    more = ("extract", str(real_video), *NET, "--out", str(tmp_path / "0"))
    assert "1 complete before" in p3d(*more).stdout
    assert p3d(*more, "--precision", "bf16").returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "0" / "bikes.npy"), rounded)


def test_steps_name_their_kernels() -> None:
    done = p3d("time", TINY, "--precision", "bf16", "--iterations", "1")
    assert done.returncode == 0, done.stderr
    assert "conv_bf16_" in done.stdout
    assert "bf16" in done.stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("arguments", "variables", "isa"),
    [
        ([*TIME, "--precision", "bf16"], {}, ""),
        ([*TIME, "--precision", "bf16"], {"P3D_ISA": "generic"}, "generic"),
        ([*TIME], {"P3D_ISA": "generic", "P3D_PRECISION": "bf16"}, "generic"),
        ([*TIME, "--isa", "generic", "--precision", "bf16"], {}, "generic"),
        ([*TIME, "--precision", "float32"], {"P3D_ISA": "generic"}, ""),
    ],
)
def test_what_takes_longer_says_so(arguments, variables, isa: str) -> None:
    done = p3d(*arguments, **variables)
    assert done.returncode == 0, done.stderr
    if isa:
        assert f"p3d: warning: {isa} has no products of bfloat16 here" in done.stderr
    elif gpu.processor_has_bf16():
        assert "warning" not in done.stderr


@pytest.mark.parametrize("isa", _core.isa_names())
def test_an_instruction_set_of_ones_own_is_judged_by_itself(isa: str) -> None:
    done = p3d("time", TINY, "--isa", isa, "--precision", "bf16", "--iterations", "1")
    assert done.returncode == 0, done.stderr
    warned = f"p3d: warning: {isa} has no products of bfloat16 here" in done.stderr
    assert warned != _core.multiplies_bf16(isa)
    assert warned == ("_emulated" in done.stdout)


@pytest.mark.parametrize(
    "leading",
    [["--precision", "bf16"], ["-precision=bf16", "--device", "cpu"]],
    ids=["one", "several"],
)
def test_options_of_every_verb_may_come_first(leading: list[str]) -> None:
    done = p3d(*leading, "time", TINY, "--iterations", "1")
    assert done.returncode == 0, done.stderr
    assert "conv_bf16_" in done.stdout


@pytest.mark.parametrize("said", ["tf32", "fp16"])
def test_precisions_of_gpus_by_a_variable_say_that_they_are_not_taken(said: str) -> None:
    done = p3d(*TIME, P3D_PRECISION=said)
    assert done.returncode == 0, done.stderr
    assert f"P3D_PRECISION={said} is for a GPU, the processor computes in float32" in done.stderr


@pytest.mark.parametrize("said", ["tf32", "fp16"])
def test_precisions_of_gpus_are_refused(said: str) -> None:
    done = p3d(*TIME, "--precision", said)
    assert done.returncode == 1
    assert f"--precision {said} is for a GPU" in done.stderr


def test_a_training_computes_in_what_it_is_told(tmp_path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(
        'layer { name: "in" type: "DummyData" top: "x" top: "y" dummy_data_param { '
        "shape { dim: [2, 4, 5, 5] } shape { dim: [2, 6, 5, 5] } "
        'data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }\n'
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { '
        'num_output: 6 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }\n'
        'layer { name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "y" top: "loss" }\n'
    )
    weights = []
    for said in ("float32", "bf16"):
        solver = tmp_path / f"{said}.prototxt"
        solver.write_text(
            f'net: "{net}" base_lr: 0.01 lr_policy: "fixed" max_iter: 3 random_seed: 1 '
            f'snapshot_prefix: "{tmp_path / said}"'
        )
        done = p3d("train", "--solver", str(solver), "--precision", said)
        assert done.returncode == 0, done.stderr
        assert f" threads, {said}\n" in done.stderr
        learned = caffe.Net(str(net), str(tmp_path / f"{said}_iter_3.caffemodel"), caffe.TEST)
        weights.append(learned.params["c"][0].data.copy())
    off = np.abs(weights[1] - weights[0]).max() / np.abs(weights[0]).max()
    assert 0 < off < 0.01
