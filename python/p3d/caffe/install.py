"""Makes a script's own ``import caffe`` find p3d.caffe."""

from __future__ import annotations

import importlib
import sys

from p3d.caffe import backend
from p3d.error import Error

# What pycaffe calls them, and what they are called here.
_SUBMODULES = {
    "_caffe": "embedded",
    "classifier": "classifier",
    "coord_map": "coord_map",
    "detector": "detector",
    "draw": "draw",
    "io": "io",
    "net_spec": "net_spec",
    "proto": "proto",
    "proto.caffe_pb2": "proto.caffe_pb2",
    "pycaffe": "embedded",
}


def install() -> None:
    """From here on ``import caffe``, ``from caffe.proto import caffe_pb2`` ... give p3d.caffe.

    With the backend upstream they give the real Caffe, as they do anyway.

    Raises Error if another caffe has been imported already.
    """
    if backend.current() == "upstream":
        backend.interface()
        return
    caffe = importlib.import_module("p3d.caffe")
    present = sys.modules.get("caffe")
    if present not in (None, caffe):
        where = getattr(present, "__file__", "?")
        raise Error(f"another caffe is already imported, from {where}; call install() before it")
    sys.modules["caffe"] = caffe
    for name, ours in _SUBMODULES.items():
        sys.modules[f"caffe.{name}"] = importlib.import_module(f"p3d.caffe.{ours}")
