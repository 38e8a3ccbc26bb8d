"""The .cu files of layers/kernels compile for every architecture."""

from __future__ import annotations

from pathlib import Path

import nvcc
import pytest

LAYERS = Path(__file__).parents[2] / "layers"
STRICT = ["-std=c++14", "-Werror=all-warnings", "-Xcompiler=-Wall,-Wextra,-Werror"]


def test_kernels_compile() -> None:
    sources = sorted((LAYERS / "kernels").glob("*.cu"))
    assert sources
    nvcc.compile_cuda(sources, [LAYERS], options=STRICT)


def test_what_gpu_check_runs_compiles() -> None:
    folder = Path(__file__).parent
    sources = sorted(folder.glob("test_cuda_*.cpp"))
    assert sources
    sources += sorted((LAYERS.parent / "tools").glob("bench_cuda*.cpp"))
    options = ["-std=c++14", "-x=cu"]
    nvcc.compile_cuda(sources, [LAYERS, folder], archs=["90"], options=options)


def test_an_error_shows(tmp_path: Path) -> None:
    source = tmp_path / "broken.cu"
    source.write_text("__global__ void f(int* x) { *x = blockIdx.q; }\n")
    with pytest.raises(AssertionError, match=r'broken\.cu[\s\S]*"q"'):
        nvcc.compile_cuda([source], [], archs=["90"])
