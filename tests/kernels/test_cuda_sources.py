"""The .cu files of layers/kernels compile for every architecture, hardly optimised.

For 9.0 as they are installed: gpu/test_cuda_library.py.
"""

from __future__ import annotations

from pathlib import Path

import nvcc
import pytest

LAYERS = Path(__file__).parents[2] / "layers"
STRICT = ["-std=c++14", "-Werror=all-warnings", "-Xcompiler=-Wall,-Wextra,-Werror"]
ARCHITECTURES = [arch for arch in nvcc.ARCHITECTURES if arch != "90"]


def test_kernels_compile() -> None:
    sources = sorted((LAYERS / "kernels").rglob("*.cu"))
    assert sources
    nvcc.compile_cuda(sources, [LAYERS], archs=ARCHITECTURES, options=STRICT)


def test_pypi_has_all_that_they_include() -> None:
    """Where no nvcc is on the PATH, it is PyPI's that compiles them."""
    source = LAYERS / "kernels" / "narrow.cu"
    nvcc.compile_cuda([source], [LAYERS], archs=["90"], compiler=nvcc.pypi_nvcc())


def test_kernels_for_groups_of_warps_compile() -> None:
    """As CMakeLists.txt compiles them; for others they are empty."""
    sources = sorted((LAYERS / "kernels").rglob("*wgmma.cu"))
    assert sources
    nvcc.compile_cuda(sources, [LAYERS], archs=["90a"], options=STRICT)


def test_benchmarks_of_gpu_check_compile() -> None:
    """So do its tests of kernels, for 9.0, in ptx/test_ptx_machine.py."""
    sources = sorted((LAYERS.parent / "tools").glob("bench_cuda*.cpp"))
    assert sources
    options = ["-std=c++14", "-x=cu"]
    nvcc.compile_cuda(sources, [LAYERS, Path(__file__).parent], archs=["90"], options=options)


def test_an_error_shows(tmp_path: Path) -> None:
    source = tmp_path / "broken.cu"
    source.write_text("__global__ void f(int* x) { *x = blockIdx.q; }\n")
    with pytest.raises(AssertionError, match=r'broken\.cu[\s\S]*"q"'):
        nvcc.compile_cuda([source], [], archs=["90"])
