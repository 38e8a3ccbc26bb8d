"""What nvcc makes of the .cu files, run on a GPU that is none: see block.hpp and runtime.cpp.

tests/gpu and tests/kernels run the same sources as loops on the host. Here instructions for tensor
cores, copies past the registers, barriers and launches are those of a real GPU, and whatever is
undefined there ends the test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nvcc
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder with what CMakeLists.txt describes."""
    return nvcc.target("ptx") / "tests" / "ptx"


def run(*command: object, capability: str, **variables: str) -> subprocess.CompletedProcess[str]:
    gpu = {"P3D_SIMULATED_CAPABILITY": capability, "P3D_CONVOLUTION": "own"}
    environment = {**os.environ, **gpu, **variables}
    words = [str(word) for word in command]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("behind_the_end", "thread 63 of block 0 writes 4 bytes of global memory at"),
        ("far_away", "where nothing is allocated"),
        ("unaligned", "writes 8 bytes of global memory at an address that is no multiple of that"),
        ("behind_shared_memory", "reads 4 bytes of shared memory at 256, the block has 256"),
        ("never_written", "reads 4 bytes of shared memory at 0, which nobody has written"),
        ("read_too_early", "reads 4 bytes of shared memory at 252, which nobody has written"),
        ("read_by_others", "writes 4 bytes of shared memory at 252, read by thread 0 without"),
        ("written_by_others", "written by thread 31 without a barrier"),
        ("reads_of_others", "thread 32 of block 0 reads what was written by thread 31 of block 0"),
        ("blocks_together", "of block 0, which may run later"),
        ("barrier_of_some", "waits for lanes of its warp that wait elsewhere"),
        ("barriers_of_warps", "wait at different barriers"),
        ("copy_not_awaited", "where cp.async is not waited for"),
        ("copy_of_others", "reads 4 bytes of shared memory at 240, written by thread 15 without"),
        ("earlier_awaited_late", "touches global memory before it has waited for earlier kernels"),
        ("earlier_awaited_by_some", "thread 3 of block 0 ends before it has waited for earlier"),
        ("next_begins_too_early", "lets the next kernel begin before it has waited for earlier"),
    ],
)
def test_it_sees_what_is_undefined(programs, kernel, message) -> None:
    done = run(programs / "test_faults", kernel, capability="9.0")
    assert done.returncode == 1
    assert message in done.stderr
    assert "RunOne<" in done.stderr, "no kernel is named"
    assert done.stdout == "cudaErrorIllegalAddress\n", "later calls go on"


def test_it_sees_what_is_written_while_others_read(programs) -> None:
    command = (programs / "test_faults", "writes_for_others")
    assert run(*command, capability="9.0").stderr == "", "they read before that"
    done = run(*command, capability="9.0", P3D_SIMULATED_ORDER="backwards")
    assert "thread 0 of block 0 reads what was written by thread 32 of block 0" in done.stderr


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("not_shown", "multiplies what thread 0 wrote to 1024 without fence.proxy.async behind it"),
        ("not_begun", "has no wgmma.fence in front of its products"),
        ("overwritten", "where cp.async is not waited for"),
        ("of_one_warp", "thread 32 of block 0 multiplies other matrices than its group"),
        ("without_one_warp", "warp 2 of"),
        ("not_swizzled", "has a matrix that is not swizzled by 128 bytes"),
    ],
)
def test_it_sees_what_is_undefined_of_groups(programs, kernel, message) -> None:
    done = run(programs / "test_group_faults", kernel, capability="9.0")
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stdout == "cudaErrorIllegalAddress\n"


@pytest.mark.parametrize(("kernel", "code"), [("right", 0), ("not_awaited", 1)])
def test_products_of_groups(programs, kernel, code) -> None:
    done = run(programs / "test_group_faults", kernel, capability="9.0")
    assert (done.returncode, done.stdout, done.stderr) == (code, "cudaSuccess\n", "")


def test_a_gpu_runs_only_what_was_compiled_for_it(programs) -> None:
    done = run(programs / "test_group_faults", "right", capability="7.5")
    assert done.returncode == 1
    assert done.stdout == "another error of the PTX machine\n"


def test_objects_for_gpus_of_9_0_have_no_kernels_of_others(programs) -> None:
    """A linker takes one of two that are called the same."""
    objects = sorted(programs.parents[1].glob("CMakeFiles/p3d_cuda_wgmma.dir/**/*.o"))
    assert len(objects) == 4
    for file in objects:
        command = ["nm", "--demangle", str(file)]
        symbols = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert re.search(r"(RunGroupTiles|TryProducts)<", symbols)
        assert not re.search(r"Run(Threads|Rows|Tiles|WarpTiles)<", symbols), " ".join(command)


def test_instructions(programs) -> None:
    done = run(programs / "test_instructions", capability="9.0")
    assert done.returncode == 0, f"{programs / 'test_instructions'}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("kernel", ["right", "strided", "bytes", "earlier_awaited"])
def test_it_lets_pass_what_is_right(programs, kernel) -> None:
    done = run(programs / "test_faults", kernel, capability="9.0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cudaSuccess\n", "")


@pytest.mark.parametrize(
    ("kernel", "loaded_moved", "shared_cycles"), [("right", 256, 4), ("strided", 512, 8)]
)
def test_the_profile(programs, tmp_path, kernel, loaded_moved, shared_cycles) -> None:
    file = tmp_path / "profile.json"
    run(programs / "test_faults", kernel, capability="9.0", P3D_PTX_PROFILE=str(file))
    (line,) = file.read_text().splitlines()
    profile = json.loads(line)
    assert {"launches": 1, "blocks": 1, "products": 0}.items() <= profile.items()
    assert {"loaded": 256, "stored": 256, "stored_moved": 256}.items() <= profile.items()
    assert {"distinct": 256, "shared_ideal": 4}.items() <= profile.items()
    assert profile["loaded_moved"] == loaded_moved
    assert profile["shared_cycles"] == shared_cycles
    assert profile["lanes"] == 32 * profile["instructions"]
    assert profile["names"]["bar.sync"] == 2
    counted = sum(count * times for _, count, times in profile["stretches"])
    assert counted == sum(profile["names"].values()) == profile["instructions"]


@pytest.mark.parametrize(
    ("capability", "program", "argument"),
    [
        ("7.5", "test_cuda_conv", "--quick"),
        ("9.0", "test_cuda_conv", "--quick"),
        ("9.0", "test_cuda_bn", None),
        ("9.0", "test_cuda_crop", None),
        ("9.0", "test_cuda_im2col", None),
        ("9.0", "test_cuda_losses", None),
        ("9.0", "test_cuda_lrn", None),
        ("9.0", "test_cuda_mvn", None),
        ("9.0", "test_cuda_narrow", "2 16 24"),
        ("9.0", "test_cuda_narrow", "1 5 70"),
        ("9.0", "test_cuda_pool", None),
        ("9.0", "test_cuda_recurrent", None),
        ("9.0", "test_cuda_rows", None),
        ("9.0", "test_cuda_top_k", None),
        ("9.0", "test_cuda_values", None),
    ],
)
def test_kernels(programs, capability, program, argument) -> None:
    arguments = [argument] if argument else []
    # Nets, below, run in the other order.
    late = {"P3D_SIMULATED_OVERLAP": "1", "P3D_SIMULATED_ORDER": "backwards"}
    variables = late if capability == "9.0" else {}
    done = run(programs / program, *arguments, capability=capability, **variables)
    assert done.returncode == 0, f"{programs / program} {argument}\n{done.stdout}{done.stderr}"
    assert " checks, 0 failed" in done.stdout
    assert "PTX: " not in done.stderr


@pytest.mark.parametrize("file", ["nets", "graph", "precision", "feeding_pixels"])
def test_nets(programs, file) -> None:
    """What tools/gpu_check.py runs on a real one."""
    # Golden solvers and plans take minutes.
    chosen = ["-k", "not solvers and not plan"] if file == "nets" else []
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *chosen]
    library = programs / "ptx_gpu.so"
    done = run(
        *command,
        ROOT / "tests" / "gpu" / f"test_{file}.py",
        capability="9.0",
        P3D_CUDA_LIBRARY=str(library),
    )
    assert done.returncode == 0, f"P3D_CUDA_LIBRARY={library}\n{done.stdout[-6000:]}{done.stderr}"
    assert " passed" in done.stdout
    assert "PTX: " not in done.stdout + done.stderr
    assert "kernels cannot begin" not in done.stdout + done.stderr


def test_p3d199_on_tensor_cores(programs) -> None:
    script = """
import numpy as np
import p3d.caffe as caffe
from p3d import models, random_weights
net = caffe.Net(models.prototxt("p3d199-kinetics"), caffe.TEST)
random_weights.fill(net)
shape = net.blobs["data"].shape
net.blobs["data"].data[...] = np.random.default_rng(1).uniform(-100, 100, shape)
net.forward()
want = net.blobs["pool5"].data.copy()
caffe.set_precision("bf16")
caffe.set_mode_gpu()
net.forward()
got = net.blobs["pool5"].data
assert 0 < np.abs(got - want).max() < 0.01 * np.abs(want).max()
"""
    library = str(programs / "ptx_gpu.so")
    done = run(sys.executable, "-c", script, capability="9.0", P3D_CUDA_LIBRARY=library)
    assert done.returncode == 0, f"P3D_CUDA_LIBRARY={library}\n{done.stderr}"
    assert "PTX: " not in done.stderr
