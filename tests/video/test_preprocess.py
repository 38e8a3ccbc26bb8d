"""Geometry and numbers of one frame."""

from __future__ import annotations

import math

import numpy as np
import pytest

from p3d import Error
from p3d.video import preprocess
from p3d.video.recipe import RECIPES, recipe_named


@pytest.mark.parametrize(
    ("h", "w", "expected"),
    [
        (240, 320, (162, 216)),
        (320, 240, (216, 162)),
        (720, 1280, (162, 288)),
        (144, 176, (162, 198)),
        (272, 640, (162, 382)),  # 381.17... is rounded up
        (162, 162, (162, 162)),
        (1, 2, (162, 324)),
        (163, 200, (162, 199)),
    ],
)
def test_short_edge(h, w, expected):
    assert preprocess.short_edge_size(h, w, 162) == expected
    assert expected == (math.ceil(h * 162 / min(h, w)), math.ceil(w * 162 / min(h, w)))


@pytest.mark.parametrize(
    ("h", "w", "expected"),
    [(162, 216, (1, 28)), (182, 242, (11, 41)), (160, 160, (0, 0)), (162, 199, (1, 19))],
)
def test_centre_crop_rounds_down(h, w, expected):
    assert preprocess.crop_corner(h, w, 160) == expected


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("shape", [(240, 320), (17, 5), (162, 162), (1080, 1920), (160, 3000)])
def test_every_frame_becomes_a_crop(name, shape):
    frame = np.random.default_rng(1701).integers(0, 256, (*shape, 3), np.uint8)
    crop = RECIPES[name].picture(frame)
    assert crop.shape == (160, 160, 3)
    assert crop.dtype == np.uint8
    assert crop.base is None  # the crop must not keep the whole frame alive


def test_a_frame_of_the_right_size_is_not_touched():
    frame = np.random.default_rng(1701).integers(0, 256, (162, 200, 3), np.uint8)
    assert np.array_equal(RECIPES["author20"].picture(frame), frame[1:161, 20:180])


def test_an_absurd_frame_is_refused_before_it_is_resized():
    with pytest.raises(Error, match="1048576x1 pixels is too elongated"):
        RECIPES["author20"].picture(np.zeros((1, 1 << 20, 3), np.uint8))


def test_clip_has_the_axes_c_l_h_w_and_no_mean():
    frames = [np.full((4, 5, 3), index, np.uint8) for index in range(3)]
    frames[1][2, 3] = (255, 0, 7)
    clip = preprocess.to_clip(frames, preprocess.MEAN["frame"])
    assert clip.shape == (3, 3, 4, 5)
    assert clip.dtype == np.float32
    assert clip[:, 1, 2, 3].tolist() == [255 - 104, -117, 7 - 123]
    assert clip[:, 2, 0, 0].tolist() == [2 - 104, 2 - 117, 2 - 123]


def test_flow_is_two_channels_minus_128():
    clip = preprocess.to_clip([np.dstack([np.full((2, 2), 128, np.uint8)] * 2)] * 2, (128, 128))
    assert clip.shape == (2, 2, 2, 2)
    assert not clip.any()


@pytest.mark.parametrize(
    ("name", "crop", "size", "expected"),
    [
        ("author20", None, None, 162),
        ("author20", 224, None, 227),
        ("author20", 224, 256, 256),
        ("author20", 112, (128, 171), (128, 171)),
        ("squash", None, None, (182, 242)),
        ("squash", 224, None, (255, 339)),
    ],
)
def test_other_crops(name, crop, size, expected):
    assert recipe_named(name).at(crop=crop, size=size).size == expected


@pytest.mark.parametrize(
    ("crop", "size", "said"),
    [
        (160, 159, "does not fit"),
        (200, (300, 199), "does not fit"),
        (-1, None, "a crop of -1 is not possible: take 1 to 4096"),
        (0, None, "a crop of 0 is not possible"),
        (9999, None, "a crop of 9999 is not possible"),
    ],
)
def test_crops_that_do_not_fit(crop, size, said):
    with pytest.raises(Error, match=said):
        recipe_named("author20").at(crop=crop, size=size)


def test_unknown_recipe():
    with pytest.raises(Error, match=r"no recipe 'c3d'.*author20, squash"):
        recipe_named("c3d")


def test_five_and_ten_crops_where_they_are_said_to_be():
    clip = np.arange(3 * 2 * 7 * 9, dtype=np.uint8).reshape(3, 2, 7, 9)
    corners = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
    five = list(preprocess.views(clip, 4, "five"))
    ten = list(preprocess.views(clip, 4, "ten"))
    assert (len(five), len(ten)) == (preprocess.VIEWS["five"], preprocess.VIEWS["ten"])
    for view, mirrored, (top, left) in zip(ten[:5], ten[5:], corners, strict=True):
        cut = clip[:, :, top : top + 4, left : left + 4]
        assert np.array_equal(view, cut)
        assert np.array_equal(mirrored, cut[..., ::-1])
    assert all(np.array_equal(a, b) for a, b in zip(five, ten[:5], strict=True))
    (centre,) = preprocess.views(clip, 4, "centre")
    assert np.array_equal(centre, five[4])
    (full,) = preprocess.views(clip, 4, "full")
    assert np.array_equal(full, clip)


def test_mirrored_flow_runs_the_other_way():
    clip = np.arange(2 * 1 * 4 * 4, dtype=np.uint8).reshape(2, 1, 4, 4)
    *_, mirrored = preprocess.views(clip, 4, "ten", flow=True)
    assert np.array_equal(mirrored[0], 255 - clip[0, ..., ::-1])
    assert np.array_equal(mirrored[1], clip[1, ..., ::-1])


@pytest.mark.parametrize("modality", ["frame", "flow"])
def test_bytes_minus_mean_are_the_clip(modality):
    rng = np.random.default_rng(1701)
    mean = preprocess.MEAN[modality]
    frames = [rng.integers(0, 256, (5, 7, len(mean)), np.uint8) for _ in range(3)]
    clip = preprocess.pixel_values(modality).of(preprocess.planes(frames))
    assert np.array_equal(clip, preprocess.to_clip(frames, mean))
