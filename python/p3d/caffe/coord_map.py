"""How coordinates of one blob map to those of another, for cropping them to each other.

A map is (axis, scale, shift): position i along the spatial axes from `axis` on of the
first blob is position scale * i + shift of the second. The axis is None for maps that do
not depend on it, such as that of a ReLU. Scale and shift are numbers, or arrays with one
value per spatial axis (h, w of images; l, h, w of clips).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .net_spec import Function, Top
from .net_spec import layers as L

PASS_THROUGH_LAYERS = [
    "AbsVal", "BatchNorm", "Bias", "BN", "BNLL", "Clip", "Dropout", "ELU", "Eltwise", "Exp",
    "LRN", "Log", "MVN", "PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Split", "Swish",
    "TanH", "Threshold",
]  # fmt: skip

_IDENTITY = (None, 1, 0)


class UndefinedMapException(Exception):
    """The layer maps no coordinates."""


class AxisMismatchException(Exception):
    """The maps work on different axes."""


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """(axis, stride, extent of the kernel with dilation, pad) of a convolution or pooling."""
    if fn.type_name == "Pooling3D":
        return _pooling3d_params(fn)
    key = "pooling_param" if fn.type_name == "Pooling" else "convolution_param"
    params = fn.params.get(key, fn.params)
    legacy = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"} & set(params)
    if legacy:
        raise AssertionError(f"cropping does not support legacy _h/_w params ({sorted(legacy)})")
    kernel = np.array(params["kernel_size"], ndmin=1)
    dilation = np.array(params.get("dilation", 1), ndmin=1)
    return (
        params.get("axis", 1),
        np.array(params.get("stride", 1), ndmin=1),
        (kernel - 1) * dilation + 1,
        np.array(params.get("pad", 0), ndmin=1),
    )


def _pooling3d_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    params = fn.params.get("pooling3d_param", fn.params)

    def axes(length: str, plane: str, prefix: str, default: int) -> np.ndarray:
        both = params.get(plane, default)
        return np.array(
            [params.get(length, default), params.get(f"{prefix}_h", both),
             params.get(f"{prefix}_w", both)]
        )  # fmt: skip

    return (
        1,
        axes("stride_l", "stride", "stride", 1),
        axes("kernel_l", "kernel_size", "kernel", 1),
        axes("pad_l", "pad", "pad", 0),
    )


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """(axis, offset) of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> tuple[Any, Any, Any]:
    """The map from a layer's bottom to its top."""
    if fn.type_name in ("Convolution", "Pooling", "Pooling3D", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return _IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # maps count from the axis before the spatial ones
    raise UndefinedMapException(fn.type_name)


def compose(base_map: tuple[Any, Any, Any], next_map: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """base_map after next_map."""
    axis, scale, shift = base_map
    next_axis, next_scale, next_shift = next_map
    if axis is None:
        axis = next_axis
    elif next_axis not in (None, axis):
        raise AxisMismatchException(f"axes {axis} and {next_axis}")
    return axis, scale * next_scale, scale * next_shift + shift


def inverse(coord_map: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """The map back."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> tuple[Any, Any, Any]:
    """The map from one blob to another, through the first ancestor that both have."""
    from_maps = dict(_walk_up(top_from))
    for top, to_map in _walk_up(top_to):
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def _walk_up(top: Top) -> Any:
    """(ancestor, map from it to `top`) for `top` and all that it is computed from."""
    maps: dict[Top, tuple[Any, Any, Any]] = {top: _IDENTITY}
    frontier = [top]
    while frontier:
        current = frontier.pop()
        yield current, maps[current]
        bottoms = current.fn.inputs
        if current.fn.type_name == "Crop":
            bottoms = bottoms[:1]  # the second only gives sizes
        try:
            for bottom in bottoms:
                if bottom not in maps:
                    maps[bottom] = compose(maps[current], coord_map(current.fn))
                    frontier.append(bottom)
        except UndefinedMapException:
            continue


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts `top_from` so that it lies on `top_to`."""
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    shift = np.atleast_1d(shift)
    if not np.all(np.asarray(scale) == 1):
        raise AssertionError(f"scale mismatch on crop (a = {scale})")
    if not np.all(shift <= 0):
        raise AssertionError(f"cannot crop negative offset (b = {shift})")
    if not np.all(np.round(shift) == shift):
        raise AssertionError(f"cannot crop noninteger offset (b = {shift})")
    offset = [int(-value) for value in shift]
    return L.Crop(top_from, top_to, crop_param={"axis": (axis or 1) + 1, "offset": offset})
