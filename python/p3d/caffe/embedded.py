"""The backend "embedded" (see backend.py): pycaffe's names on the engine of this package."""

from __future__ import annotations

from p3d import _core, gpu
from p3d.caffe.mode import (
    Timer,
    has_nccl,
    init_log,
    layer_type_list,
    log,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_precision,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from p3d.caffe.nccl import NCCL
from p3d.caffe.pycaffe import Net
from p3d.caffe.python_layer import Layer
from p3d.caffe.solver_types import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    AdamWSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "AdamWSolver",
    "Layer",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "describe",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_precision",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]


def describe() -> str:
    """What runs the nets."""
    if _core.gpu_mode():
        return gpu.describe()
    return f"{_core.num_threads()} threads, {_core.isa()}, {gpu.actual_precision()}"
