"""Finds a real Caffe and makes sure that it can run P3D nets."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from p3d.error import Error

_LAYERS = {"BN": "bn_param", "Pooling3D": "pooling3d_param"}
_PLUG_IN = "python tools/plug_into_caffe.py CAFFE in a checkout of caffe-p3d"


def import_caffe() -> Any:
    """The module `caffe`. Raises Error with the cure if there is none with our layers.

    Its messages below errors are switched off, unless GLOG_minloglevel is set.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")
    if sys.modules.get("caffe") is sys.modules["p3d.caffe"]:
        raise Error(
            "p3d.caffe.install() has given the name caffe to this package: leave install() away "
            "to use a real Caffe"
        )
    try:
        caffe = importlib.import_module("caffe")
    except Exception as error:  # whatever a foreign package may raise
        raise Error(_why_not(error)) from error
    _check(caffe)
    return caffe


def _why_not(error: Exception) -> str:
    missing = getattr(error, "name", None)
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, ModuleNotFoundError) and missing == "caffe":
        return (
            "the backend upstream needs a real Caffe, and `import caffe` finds none: build one "
            "with `make pycaffe` and set PYTHONPATH to the folder python of its tree"
        )
    version = ".".join(map(str, sys.version_info[:2]))
    if missing == "caffe._caffe":
        cure = f"build it for this Python, {version}, with `make pycaffe`"
    elif isinstance(error, ModuleNotFoundError):
        cure = f"install what it needs into this Python: pip install {_package(missing)}"
    elif "numpy" in text:
        cure = "it was built for another NumPy: pip install 'numpy<2'"
    elif "Descriptors cannot" in text or "protobuf" in text:
        cure = "its caffe_pb2 needs another protobuf: pip install protobuf==4.21.12"
    else:
        cure = f"it has to be built for this Python, {version}, and to find its libraries"
    return f"`import caffe` failed in this Python; {cure} ({text})"


def _package(module: str | None) -> str:
    names = {"skimage": "scikit-image", "google": "protobuf==4.21.12", "numpy": "'numpy<2'"}
    top = (module or "").partition(".")[0]
    return names.get(top, top)


def _check(caffe: ModuleType) -> None:
    where = getattr(caffe, "__file__", None)
    if where is None or not hasattr(caffe, "layer_type_list"):
        folder = where or ", ".join(getattr(caffe, "__path__", ["?"]))
        raise Error(
            f"`import caffe` finds {folder}, which is no pycaffe: set PYTHONPATH to the folder "
            "python of a Caffe tree that is built, and run this from elsewhere"
        )
    types = set(caffe.layer_type_list())
    missing = [name for name in _LAYERS if name not in types]
    if missing:
        raise Error(
            f"the Caffe at {where} has no layers {', '.join(missing)}: {_PLUG_IN} adds them, then "
            "build it again, `make pycaffe` included"
        )
    known = caffe.proto.caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    for name, field in _LAYERS.items():
        if field not in known:
            raise Error(
                f"the Caffe at {where} has the layer {name}, but its caffe_pb2.py does not know "
                f"{field}: it is older than the library; run `make pycaffe`"
            )
