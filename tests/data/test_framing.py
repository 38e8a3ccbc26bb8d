"""Windows, resizing and flips against plain references."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from p3d import Error
from p3d.caffe.proto import caffe_pb2
from p3d.data.framing import Framing, Window, corner, resized_crop
from p3d.data.seeds import generator

Param = caffe_pb2.VideoDataParameter


def frame(h: int = 13, w: int = 17, c: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (h, w, c)).astype(np.uint8)


@pytest.mark.parametrize(
    ("param", "train", "expected"),
    [
        (Param(crop_size=8), True, (13, 17)),
        (Param(crop_size=8), False, (13, 17)),
        (Param(new_height=9, new_width=12, crop_size=8), True, (9, 12)),
        (Param(new_height=9, new_width=12), False, (9, 12)),
        (Param(short_edge=26, crop_size=8), True, (26, 34)),
        (Param(crop_size=8, crop_mode=Param.CORNER), True, (13, 17)),
        (Param(crop_size=8, crop_mode=Param.CORNER), False, (8, 11)),
        (Param(crop_size=8, crop_mode=Param.RESIZED, short_edge=10), False, (10, 14)),
    ],
)
def test_resized(param, train: bool, expected: tuple[int, int]) -> None:
    found = Framing(param, train).resized(frame())
    np.testing.assert_array_equal(
        found, cv2.resize(frame(), expected[::-1]) if expected != (13, 17) else frame()
    )


def windows(param, train: bool, h: int = 13, w: int = 17, count: int = 2000) -> set[Window]:
    framing, random = Framing(param, train), generator(7)
    return {framing.window(h, w, random) for _ in range(count)}


def test_random_windows_lie_everywhere_and_inside() -> None:
    found = windows(Param(crop_size=9), True)
    assert found == {Window(y, x, 9, 9) for y in range(5) for x in range(9)}


@pytest.mark.parametrize("mode", [Param.RANDOM, Param.CORNER, Param.RESIZED])
def test_tests_see_the_centre(mode: int) -> None:
    assert windows(Param(crop_size=8, crop_mode=mode), False, 11, 16) == {Window(1, 4, 8, 8)}


def test_all_of_the_frame_without_a_crop() -> None:
    assert windows(Param(new_height=4, new_width=5), True, 4, 5) == {Window(0, 0, 4, 5)}


def test_corner_windows() -> None:
    random = generator(3)
    found = {corner(12, 20, (1.0, 0.5), random) for _ in range(500)}
    whole = {Window(0, x, 12, 12) for x in (0, 4, 8)}
    half = {Window(y, x, 6, 6) for y, x in [(3, 7), (0, 0), (0, 14), (6, 0), (6, 14)]}
    assert found == whole | half


@pytest.mark.parametrize(("area", "aspect"), [(0.25, 0.75), (1.0, 1.0), (0.05, 0.3), (0.9, 0.9)])
@pytest.mark.parametrize(("h", "w"), [(64, 64), (60, 107), (200, 20)])
def test_resized_windows_keep_to_area_and_aspect(h: int, w: int, area: float, aspect: float):
    random = generator(5)
    found = [resized_crop(h, w, area, aspect, random) for _ in range(300)]
    side = min(h, w)
    centre = Window((h - side) // 2, (w - side) // 2, side, side)
    for window in found:
        assert 0 <= window.top <= h - window.h
        assert 0 <= window.left <= w - window.w
        if window != centre:
            slack = 1 / min(window.h, window.w)  # both sides are rounded
            assert area * (1 - 2 * slack) <= window.h * window.w / (h * w) <= 1
            ratio = window.w / window.h
            assert aspect * (1 - 2 * slack) <= ratio <= 1 / aspect * (1 + 2 * slack)
    if (h, w, area) == (64, 64, 0.25):
        shares = np.array([window.h * window.w for window in found]) / (h * w)
        assert abs(np.mean(shares) - 0.6) < 0.05


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("window", [Window(2, 5, 8, 8), Window(1, 0, 5, 12), Window(0, 0, 13, 13)])
@pytest.mark.parametrize("channels", [2, 3])
def test_cut(window: Window, flip: bool, channels: int) -> None:
    image = frame(c=channels)
    part = image[window.top : window.top + window.h, window.left : window.left + window.w]
    part = part if window.h == window.w == 8 else cv2.resize(part, (8, 8))
    found = Framing(Param(crop_size=8), True).cut(image, window, flip)
    np.testing.assert_array_equal(found, part[:, ::-1] if flip else part)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (Param(), "needs a crop_size, or new_height and new_width"),
        (Param(short_edge=8), "needs a crop_size"),
        (Param(new_height=8, crop_size=8), "both new_height and new_width"),
        (Param(new_height=8, new_width=8, short_edge=8), "but not both"),
        (
            Param(new_height=8, new_width=7, crop_size=8),
            "crop_size 8 does not fit into a size of 7",
        ),
        (Param(short_edge=7, crop_size=8), "crop_size 8 does not fit"),
        (Param(new_height=8, new_width=8, crop_mode=Param.CORNER), "crop_mode needs a crop_size"),
        (Param(crop_size=8, crop_scale=[1.5]), "crop_scale"),
        (Param(crop_size=8, min_area=0), "min_area"),
        (Param(crop_size=8, min_aspect=2), "min_aspect"),
        (Param(crop_size=1 << 20), "at most 8192"),
    ],
)
def test_what_cannot_be(param, message: str) -> None:
    with pytest.raises(Error, match=message):
        Framing(param, True)


def test_frames_that_are_too_small() -> None:
    with pytest.raises(Error, match="frames of 17x13 are smaller than crop_size 14"):
        windows(Param(crop_size=14), True)
