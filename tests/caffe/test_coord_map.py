"""Maps between coordinates of blobs: worked by hand, and against where pixels really go."""

# ruff: noqa: C408  (dict() is how nets are written)
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from p3d.caffe.coord_map import AxisMismatchException, coord_map_from_to, crop
from p3d.caffe.net_spec import NetSpec
from p3d.caffe.net_spec import layers as L


def upscaling_net(**options: Any) -> NetSpec:
    """conv - pool - deconv, as nets for segmentation have them."""
    o = dict(kernel=3, stride=1, pad=0, pool=2, up=2, up_pad=0) | options
    n = NetSpec()
    n.data = L.Input()
    n.conv = L.Convolution(n.data, kernel_size=o["kernel"], stride=o["stride"], pad=o["pad"])
    n.pool = L.Pooling(n.conv, kernel_size=o["pool"], stride=o["pool"])
    up = np.array(o["up"])
    n.deconv = L.Deconvolution(
        n.pool, kernel_size=(2 * up).tolist(), stride=up.tolist(), pad=o["up_pad"]
    )
    return n


# (options, scale, shift of the map from deconv to data)
MAPS = [
    ({}, [1], [0]),
    ({"pool": 4, "up": 4}, [1], [-1]),
    ({"pad": 7}, [1], [-7]),
    ({"up_pad": 7}, [1], [7]),
    ({"pad": 7, "up_pad": 7}, [1], [0]),
    ({"stride": 2}, [2], [-1]),
    ({"kernel": [3, 5], "pad": [0, 10]}, [1, 1], [0, -9]),
    ({"kernel": [3, 3, 3], "pad": [0, 1, 2]}, [1, 1, 1], [0, -1, -2]),
]


@pytest.mark.parametrize(("options", "scale", "shift"), MAPS)
def test_maps(options: dict[str, Any], scale: list[float], shift: list[float]) -> None:
    n = upscaling_net(**options)
    check_map(coord_map_from_to(n.deconv, n.data), scale, shift)
    back = 1 / np.array(scale), -np.array(shift) / scale
    check_map(coord_map_from_to(n.data, n.deconv), *back)


def check_map(found: tuple[Any, Any, Any], scale: Any, shift: Any) -> None:
    axis, found_scale, found_shift = found
    assert axis == 1
    np.testing.assert_allclose(np.broadcast_to(found_scale, len(scale)), scale)
    np.testing.assert_allclose(np.broadcast_to(found_shift, len(shift)), shift)


# (layer of a clip of 3 axes, where output position i looks at: scale, shift)
LAYERS = [
    (lambda d: L.Pooling3D(d, kernel_size=3, stride=2, kernel_l=2, stride_l=2), [2, 2, 2],
     [0.5, 1, 1]),
    (lambda d: L.Pooling3D(d, kernel_size=3, kernel_l=1, pad=1), [1, 1, 1], [0, 0, 0]),
    (lambda d: L.Pooling3D(d, pooling3d_param=dict(kernel_h=3, kernel_w=5, kernel_l=1, stride_w=2)),
     [1, 1, 2], [0, 1, 2]),
    (lambda d: L.Convolution(d, kernel_size=[1, 7, 7], stride=[1, 2, 2], pad=[0, 3, 3]), [1, 2, 2],
     [0, 0, 0]),
    (lambda d: L.Convolution(d, convolution_param=dict(kernel_size=3, dilation=[1, 2, 3])),
     [1, 1, 1], [1, 2, 3]),
    (lambda d: L.Pooling(d, pooling_param=dict(kernel_size=3)), [1], [1]),
]  # fmt: skip


@pytest.mark.parametrize(("make", "scale", "shift"), LAYERS)
def test_layers_of_clips(make: Any, scale: list[float], shift: list[float]) -> None:
    data = L.Input()
    top = L.ReLU(L.BN(make(data)))
    check_map(coord_map_from_to(top, data), scale, shift)


@pytest.mark.parametrize("offset", [0, 5])
def test_crop_of_crop(offset: int) -> None:
    n = upscaling_net()
    axis, scale, shift = coord_map_from_to(n.deconv, n.data)
    n.crop = L.Crop(n.deconv, n.data, axis=2, offset=offset)
    assert coord_map_from_to(n.crop, n.data) == (axis, scale, shift + offset)


def test_several_bottoms_map_alike() -> None:
    data, aux = L.Input(), L.Input()
    first, second = L.Convolution(data, aux, ntop=2, kernel_size=5, stride=2)
    assert coord_map_from_to(first, data) == coord_map_from_to(second, aux)


def test_crop_helper() -> None:
    n = upscaling_net(pad=[0, 1, 2], kernel=[3, 3, 3])
    n.score = crop(n.deconv, n.data)
    layer = n.to_proto().layer[-1]
    assert (layer.type, list(layer.bottom)) == ("Crop", ["deconv", "data"])
    assert (layer.crop_param.axis, list(layer.crop_param.offset)) == (2, [0, 1, 2])


def test_crop_between_blobs_of_equal_coordinates() -> None:
    data = L.Input()
    layer = crop(L.ReLU(data), data).to_proto().layer[-1]
    assert (layer.crop_param.axis, list(layer.crop_param.offset)) == (2, [0])


@pytest.mark.parametrize(
    ("options", "words"),
    [({"pool": 3}, "scale mismatch"), ({"up_pad": 10}, "negative offset"),
     ({"kernel": 4, "pad": 2}, "noninteger offset")],
)  # fmt: skip
def test_impossible_crops(options: dict[str, Any], words: str) -> None:
    n = upscaling_net(**options)
    with pytest.raises(AssertionError, match=words):
        crop(n.deconv, n.data)


def test_unconnected_blobs() -> None:
    n = upscaling_net()
    n.ip = L.InnerProduct(n.deconv, num_output=1)
    with pytest.raises(RuntimeError, match="Could not compute map"):
        coord_map_from_to(n.ip, n.data)


def test_axes_that_do_not_match() -> None:
    data = L.Input()
    top = L.Convolution(L.Convolution(data, kernel_size=1), kernel_size=1, axis=2)
    with pytest.raises(AxisMismatchException):
        coord_map_from_to(top, data)


def test_legacy_options() -> None:
    data = L.Input()
    with pytest.raises(AssertionError, match="_h/_w"):
        coord_map_from_to(L.Convolution(data, kernel_h=1, kernel_w=1), data)


def test_long_ladders_take_no_exponential_time() -> None:
    data = top = L.Input()
    for _ in range(60):
        top = L.Eltwise(top, top)
    assert coord_map_from_to(top, data) == (None, 1, 0)
