"""NVIDIA's NCCL, by which the processes of several GPUs reach each other."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from p3d import _core, gpu

VARIABLE = "P3D_NCCL_LIBRARY"
NAME = "libnccl.so.2"


def library() -> str:
    """$P3D_NCCL_LIBRARY, or that of PyPI's nvidia-nccl, or the name that the system looks up."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    try:
        found = importlib.util.find_spec("nvidia.nccl")
    except ModuleNotFoundError:
        found = None
    folders = found.submodule_search_locations or [] if found else []
    paths = [Path(folder) / "lib" / NAME for folder in folders]
    return next((str(path) for path in paths if path.exists()), NAME)


def load() -> None:
    """Raises Error, with the cure, where there is no NCCL or no kernels for GPUs."""
    gpu.load()
    _core.load_nccl(library())
