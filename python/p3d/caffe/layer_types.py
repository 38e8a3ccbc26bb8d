"""Layer types that a net may not have, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from p3d import _core
from p3d.error import Error
from p3d.wording import did_you_mean, shorten


def check(layer: Any) -> None:
    """Raises Error if the embedded engine has no such layers."""
    if layer.type == "WindowData":
        raise Error(
            f"WindowData '{layer.name}': reads a list of windows, which only a real Caffe does; "
            "take VideoData, ImageData or HDF5Data"
        )
    check_known(layer, _core.layer_types(), "there is no layer type")


def check_known(layer: Any, types: Iterable[str], fault: str) -> None:
    """Raises Error, `fault` and what helps, if a layer is of none of these types."""
    known = list(types)
    if layer.type in known:
        return
    kind = shorten(layer.type)
    name = kind if kind.isidentifier() else "MyLayer"
    near = did_you_mean(layer.type, known, 3) or "; p3d.caffe.layer_type_list() has all there are."
    raise Error(
        f"{kind} '{shorten(layer.name)}': {fault} {kind}{near} "
        f'To add it write it in Python: type: "Python" python_param {{ module: "my_layers" layer: '
        f'"{name}" }}, with a class {name}(caffe.Layer) in my_layers.py that has setup, reshape, '
        "forward and, to train, backward"
    )
