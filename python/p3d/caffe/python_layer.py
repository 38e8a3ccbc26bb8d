"""``type: "Python"`` layers: classes of the user's that a prototxt names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from p3d import _core
from p3d.caffe.install import install
from p3d.error import Error


class BlobVec(list):
    """Blobs of a layer; Python layers add their parameters with ``add_blob(*dims)``."""

    def add_blob(self, *dims: int) -> None:
        """Append a zero-filled parameter blob of this shape."""
        self.append(_core.Blob(list(dims)))

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError("a parameter blob cannot be replaced: write to its values, [i].data[...]")


class Layer:
    """Base of Python layers, as pycaffe's ``caffe.Layer``.

    Derive from it and write ``setup``, ``reshape`` and ``forward``; bottoms and tops are lists of
    blobs. ``param_str`` is python_param's, ``phase`` is caffe.TRAIN or caffe.TEST, and blobs added
    to ``blobs`` in ``setup`` are the layer's parameters.
    """

    type = "Python"

    def __init__(self, param_str: str, phase: int) -> None:
        self.param_str = param_str
        self.phase = phase
        self.blobs = BlobVec()

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Check the blobs and read param_str, once."""

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Give the tops their shapes: ``top[0].reshape(*dims)``."""

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Fill ``top[i].data`` from ``bottom[i].data``."""

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """Fill ``bottom[i].diff`` from ``top[i].diff``."""


def create(module: str, layer: str, param_str: str, phase: int) -> Any:
    """The object behind a Python layer; the engine calls this."""
    if not module or module.startswith(".") or not layer:
        raise Error(
            f"python_param needs a module and a layer (a class in it), not '{module}', '{layer}'"
        )
    found = _import(module)
    if not hasattr(found, layer):
        raise Error(f"module '{module}' has no class '{layer}'")
    made = getattr(found, layer)
    if not (isinstance(made, type) and issubclass(made, Layer)):
        raise Error(
            f"'{module}.{layer}' is not derived from the Layer of p3d.caffe; if it is from that of "
            "another `import caffe`, call p3d.caffe.install() before, or run the script by "
            "python -m p3d.caffe"
        )
    return made(param_str, phase)


def _import(module: str) -> ModuleType:
    """The module of a layer. Where there is no other caffe, its `import caffe` finds p3d.caffe."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == "caffe":
            install()
            return importlib.import_module(module)
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise Error(
            f"there is no module '{error.name}' on Python's path: name its folder in PYTHONPATH, "
            "as in PYTHONPATH=. for the one that you are in"
        ) from None
