"""The pycaffe interface on the embedded engine: ``import p3d.caffe as caffe``.

Scripts that say ``import caffe`` themselves run unchanged with ``python -m p3d.caffe script.py``,
or after ``p3d.caffe.install()``.
"""

from p3d import __version__
from p3d.caffe import io
from p3d.caffe.classifier import Classifier
from p3d.caffe.detector import Detector
from p3d.caffe.install import install
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
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from p3d.caffe.net_spec import NetSpec, layers, params, to_proto
from p3d.caffe.proto.caffe_pb2 import TEST, TRAIN
from p3d.caffe.pycaffe import Net
from p3d.caffe.python_layer import Layer

__all__ = [
    "TEST",
    "TRAIN",
    "Classifier",
    "Detector",
    "Layer",
    "Net",
    "NetSpec",
    "Timer",
    "__version__",
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
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
]
