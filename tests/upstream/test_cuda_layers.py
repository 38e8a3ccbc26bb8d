"""The CUDA sources of a plugged Caffe tree compile: without cuDNN, with cuDNN 8 and with 9.

CMake configures these trees for the CPU alone, so that this is what compiles them. The layers run
on the host, and kernels/test_cuda_sources.py has their kernels for every architecture: one shows
whether they compile here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nvcc
import pytest

if TYPE_CHECKING:
    from conftest import Plugged

LAYERS = ("bn", "pooling3d", "convolution3d")
HOST = ["-std=c++17", "-Xcompiler=-fPIC"]


def include_dirs(plugged: Plugged, *libraries: str) -> list[Path]:
    folders = [plugged.tree.source / "include", plugged.tree.build / "include"]
    return folders + [nvcc.headers(name) for name in ("cublas", "curand", *libraries)]


@pytest.mark.parametrize("plugged", ["pristine"], indirect=True)  # both have the same of these
def test_kernels_and_layers_compile(plugged: Plugged) -> None:
    source = plugged.tree.source / "src" / "caffe"
    layers = [source / "layers" / f"{layer}_layer.cu" for layer in LAYERS]
    kernels = sorted((source / "p3d").glob("*.cu"))
    assert kernels
    nvcc.compile_cuda([*layers, *kernels], include_dirs(plugged), archs=["90"], options=HOST)


@pytest.mark.parametrize("cudnn", ["cudnn8", "cudnn9"])
def test_layers_compile_with_cudnn(plugged: Plugged, cudnn: str) -> None:
    source = plugged.tree.source / "src" / "caffe"
    layers = [source / "layers" / f"{layer}_layer.cu" for layer in LAYERS]
    helpers = sorted((source / "util").glob("cudnn_*.cpp"))
    assert helpers
    nvcc.compile_cuda(
        [*layers, *helpers], include_dirs(plugged, cudnn), ["USE_CUDNN"], ["90"], HOST
    )
