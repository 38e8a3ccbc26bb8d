"""TV-L1 flow against OpenCV's contributed DualTVL1OpticalFlow 5.0, by golden files; the iterations:
tests/kernels/test_tvl1.cpp."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from p3d import Error, _core
from p3d.video.tvl1 import Tvl1, to_images

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "tvl1" / "opencv.npz")
# Before OpenCV 5 places between pixels are rounded to 32nds, also by its own flow.
ROUNDED = int(cv2.__version__.split(".")[0]) < 5
ONE = Tvl1(scales=1, warps=1, median=1, outer=1, epsilon=1e-9)
# Those that OpenCV was given for the file's arrays.
METHODS = {
    "one_level": ONE._replace(inner=25),
    "one_level_till_still": ONE._replace(inner=300, epsilon=0.02),
    "two_levels": ONE._replace(scales=2, inner=10),
    "median": ONE._replace(median=5, outer=3, inner=5),
    "other_weights": Tvl1(0.05, 0.2, 0.2, 1e-9, 3, 0.7, 2, 2, 5, 3),
}


@pytest.fixture(params=_core.isa_names())
def isa(request):
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.mark.parametrize("name", METHODS)
def test_every_step_is_opencvs(name: str, isa: str) -> None:
    flow = METHODS[name](GOLDEN["first"], GOLDEN["second"])
    assert flow.dtype == np.float32
    between = name in ("two_levels", "other_weights")
    most = 0.15 if ROUNDED and between else 1e-4
    np.testing.assert_allclose(flow, GOLDEN[name], rtol=0, atol=most)


def test_the_usual_flow_is_opencvs(isa: str) -> None:
    """By the last digits of a sum iterations end earlier or later, which shows at the border."""
    off = np.abs(Tvl1()(GOLDEN["first"], GOLDEN["second"]) - GOLDEN["usual"])
    assert np.mean(off) < (0.02 if ROUNDED else 0.01)
    assert np.percentile(off, 99) < (0.2 if ROUNDED else 0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (15, 40), (16, 16), (33, 21)])
def test_nothing_moves_between_equal_images(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    flow = Tvl1()(image, image)
    assert flow.shape == (*shape, 2)
    np.testing.assert_allclose(flow, 0, atol=1e-3)


def test_what_moved_is_found() -> None:
    scene = cv2.GaussianBlur(np.random.default_rng(2).uniform(0, 255, (90, 110)), (0, 0), 3)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    flow = Tvl1()(scene[10:74, 10:90], scene[8:72, 13:93])
    middle = flow[10:-10, 10:-10].reshape(-1, 2)
    np.testing.assert_allclose(np.median(middle, axis=0), (-3, 2), atol=0.05)
    np.testing.assert_allclose(middle, np.broadcast_to((-3, 2), middle.shape), atol=0.5)


@pytest.mark.parametrize(
    "second", [np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.float32), np.zeros((5, 4, 3))]
)
def test_other_images_are_refused(second: np.ndarray) -> None:
    with pytest.raises(Error, match=r"two grey images \(uint8\) of one size, not uint8 \(5, 4\)"):
        Tvl1()(np.zeros((5, 4), np.uint8), second)


def test_images_are_dense_flows() -> None:
    flow = np.array([-99, -20, -19.93, -0.04, 0, 0.04, 10, 19.93, 20, 1e9], np.float32)
    expected = [0, 0, 0, 127, 128, 128, 191, 255, 255, 255]
    np.testing.assert_array_equal(to_images(flow), expected)
    np.testing.assert_array_equal(to_images(flow, bound=10)[[0, 3, 4, 6]], [0, 127, 128, 255])


def test_a_level_takes_images_of_its_size_only() -> None:
    level = _core.Tvl1Level(4, 5)
    first, warped = np.zeros((4, 5), np.float32), np.zeros((4, 5, 3), np.float32)
    level.warp(first, warped)
    assert level.iterate(0.25, 0.15, 0.3, 5, 0.0) == 0
    with pytest.raises(Error, match="first has to be of the level's size"):
        level.warp(first.T.copy(), warped)
    with pytest.raises(Error, match="warped has to be 3 values for each pixel"):
        level.warp(first, warped[:, :, :2].copy())
    with pytest.raises(TypeError):
        level.warp(first.astype(np.float64), warped)
    with pytest.raises(TypeError):
        level.warp(first, warped[:, :, ::-1])
    with pytest.raises(Error, match="medians are of 3 x 3 or 5 x 5 pixels"):
        level.smooth(7)
    for size in ((0, 5), (5, 1 << 40)):
        with pytest.raises(Error, match="images of 1 to 1048576 pixels along each side, not"):
            _core.Tvl1Level(*size)


def test_the_flow_of_a_level_outlives_it() -> None:
    flow = _core.Tvl1Level(4, 5).flow
    flow[...] = 3
    np.testing.assert_array_equal(flow, np.full((2, 4, 5), 3, np.float32), strict=True)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 2), (15, 40), (16, 16), (33, 21)])
def test_medians_are_opencvs(shape: tuple[int, int], side: int, isa: str) -> None:
    random = np.random.default_rng(3)
    level = _core.Tvl1Level(*shape)
    for values in (random.normal(0, 1, (2, *shape)), random.integers(0, 3, (2, *shape))):
        level.flow[...] = values
        level.smooth(side)
        expected = [cv2.medianBlur(u.astype(np.float32), side) for u in values]
        np.testing.assert_array_equal(level.flow, expected)
