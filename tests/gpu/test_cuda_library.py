"""The real library for GPUs: it builds, loads without a GPU, and says what a machine lacks."""

from __future__ import annotations

import nvcc
import pytest
from gpu_checking import kernels


@pytest.fixture(scope="module")
def cuda_library():
    """p3d_cuda for one architecture, by the nvcc that pip install would take."""
    return nvcc.target("p3d_cuda") / "libp3d_cuda.so"


def test_it_loads_and_says_what_is_missing(cuda_library, run) -> None:
    done = run("-m", "p3d", "device_query", P3D_CUDA_LIBRARY=str(cuda_library))
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        assert "cuda:0" in done.stdout
    else:
        assert "no GPU: " in done.stderr
        assert "driver" in done.stderr, done.stderr


def test_a_gpu_that_is_not_there_is_an_error(cuda_library, run) -> None:
    ask = "import p3d.caffe as caffe; caffe.set_device(99)"
    done = run("-c", ask, P3D_CUDA_LIBRARY=str(cuda_library))
    assert done.returncode == 1
    assert "p3d.error.Error: " in done.stderr, done.stderr


def test_a_program_of_gpu_check_links(cuda_library, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(nvcc.find_nvcc().parent), prepend=":")
    source = kernels.ROOT / "tools" / "bench_cuda_conv.cpp"
    assert not kernels.build(cuda_library.parent, source, "sm_90")
