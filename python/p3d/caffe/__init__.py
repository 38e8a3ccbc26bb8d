"""The pycaffe interface: ``import p3d.caffe as caffe``.

Nets run on the embedded engine, or with ``use("upstream")`` on a real Caffe (see backend.py).

Scripts that say ``import caffe`` themselves run unchanged with ``python -m p3d.caffe script.py``,
or after ``p3d.caffe.install()``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from p3d import __version__
from p3d.caffe import backend, io
from p3d.caffe.backend import use
from p3d.caffe.install import install
from p3d.caffe.net_spec import NetSpec, layers, params, to_proto
from p3d.caffe.proto.caffe_pb2 import TEST, TRAIN

if TYPE_CHECKING:
    from p3d.caffe.classifier import Classifier
    from p3d.caffe.detector import Detector
    from p3d.caffe.embedded import (
        NCCL,
        AdaDeltaSolver,
        AdaGradSolver,
        AdamSolver,
        AdamWSolver,
        Layer,
        NesterovSolver,
        Net,
        RMSPropSolver,
        SGDSolver,
        Timer,
        get_solver,
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

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "AdamWSolver",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "__version__",
    "backend",
    "get_solver",
    "has_nccl",
    "init_log",
    "install",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "params",
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
    "to_proto",
    "use",
]

_IN_MODULES = {"Classifier": "classifier", "Detector": "detector"}


def __getattr__(name: str) -> Any:
    """What depends on the backend is looked up when it is asked for."""
    if name in _IN_MODULES:
        return getattr(importlib.import_module(f"p3d.caffe.{_IN_MODULES[name]}"), name)
    if name in __all__:
        return getattr(backend.interface(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """With what has not been looked up yet, for those who complete names."""
    return sorted({*globals(), *__all__})
