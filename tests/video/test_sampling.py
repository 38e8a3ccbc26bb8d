"""Which frames make a clip: the authors' rule, number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from p3d import Error
from p3d.video.recipe import RECIPES, Recipe, recipe_named
from p3d.video.sampling import author20, dense, even, frame_indices

EVERY = {
    # frames: the twenty starts
    1: [0] * 20,
    15: [0] * 20,
    16: [0] * 20,
    17: [0] * 20,
    18: [0] * 20,
    19: [0] * 20,  # stride 0.05: the last clip starts at floor(0.95)
    20: [0] * 10 + [1] * 10,
    38: list(range(20)),
    39: [0, *range(1, 20)],
    300: [
        0,
        14,
        28,
        42,
        56,
        70,
        84,
        98,
        112,
        126,
        141,
        155,
        169,
        183,
        197,
        211,
        225,
        239,
        253,
        267,
    ],
}


@pytest.mark.parametrize("frames", EVERY)
def test_author20_by_hand(frames):
    assert author20(frames) == EVERY[frames]


def test_author20_is_the_matlab_formula():
    for frames in [*range(18, 700), 5000, 54321, 108000]:
        stride = (frames - 16 - 2) / 20
        matlab = [math.floor((i - 1) * stride) + 1 for i in range(1, 21)]  # counts from 1
        assert [start + 1 for start in author20(frames)] == matlab, f"{frames} frames"
        assert max(matlab) + 15 <= frames, f"{frames} frames"


def test_author20_rounds_as_double_precision_does():
    # 15 * (164 / 20) is 122.99999999999999 in double precision; whole numbers would give 123.
    assert author20(182)[15] == 122
    assert 15 * (182 - 18) // 20 == 123


@pytest.mark.parametrize(
    ("start", "length", "frames", "expected"),
    [
        (0, 16, 16, list(range(16))),
        (3, 4, 100, [3, 4, 5, 6]),
        (0, 16, 15, [*range(15), 0]),
        (0, 16, 1, [0] * 16),
        (0, 16, 7, [*range(7), *range(7), 0, 1]),
    ],
)
def test_short_videos_loop(start, length, frames, expected):
    assert frame_indices(start, length, frames).tolist() == expected


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 18, 19, 37, 182, 1000])
def test_recipes_give_twenty_clips_of_sixteen_frames_of_the_video(name, frames):
    clips = RECIPES[name].frames_of_clips(frames)
    assert len(clips) == 20
    for clip, start in zip(clips, author20(frames), strict=True):
        assert clip.shape == (16,)
        assert clip[0] == start
        assert clip.min() >= 0
        assert clip.max() < frames
        assert np.all((np.diff(clip) == 1) | (clip[1:] == 0))


def test_other_lengths_follow_the_same_rule():
    assert author20(42, length=20, clips=4) == [0, 5, 10, 15]
    assert author20(21, length=20, clips=4) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("frames", "clips", "expected"),
    [
        (16, 1, [0]),
        (10, 1, [0]),
        (10, 3, [0, 0, 0]),
        (17, 1, [0]),
        (18, 1, [1]),
        (26, 3, [0, 5, 10]),
        (26, 4, [0, 3, 6, 10]),
        (17, 3, [0, 0, 1]),
    ],
)
def test_even_goes_from_the_first_to_the_last_clip(frames, clips, expected):
    assert list(even(frames, 16, clips)) == expected


@pytest.mark.parametrize(
    ("frames", "stride", "expected"),
    [
        (1, 8, [0]),
        (15, 8, [0]),
        (16, 8, [0]),
        (23, 8, [0]),
        (24, 8, [0, 8]),
        (31, 8, [0, 8]),
        (48, 16, [0, 16, 32]),
        (18, 1, [0, 1, 2]),
        (60, 40, [0, 40]),
    ],
)
def test_dense_has_every_whole_clip(frames, stride, expected):
    assert list(dense(frames, 16, stride)) == expected
    endless = dense(None, 16, stride)
    assert [next(endless) for _ in expected] == expected


def test_what_follows_a_short_video():
    assert frame_indices(0, 8, 3, "loop").tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert frame_indices(0, 8, 3, "repeat-last").tolist() == [0, 1, 2, 2, 2, 2, 2, 2]
    assert frame_indices(2, 3, 5, "error").tolist() == [2, 3, 4]
    with pytest.raises(Error, match="the video has 3 frames, a clip 8: allow it with --short"):
        frame_indices(0, 8, 3, "error")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, "author20"),
        ({"clips": 10}, "even"),
        ({"stride": 8}, "dense"),
        ({"clips": 10, "sampling": "author20"}, "author20"),
    ],
)
def test_what_a_person_asks_for_chooses_the_rule(changes, rule):
    recipe = recipe_named("author20", **changes)
    assert recipe.sampling == rule
    assert ("stride" in recipe.record()) == (rule == "dense")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clips": 10, "stride": 8}, "not by both"),
        ({"clips": 0}, "number of clips of 0"),
        ({"stride": -1}, "stride of -1"),
        ({"length": 0}, "clip length of 0"),
        ({"length": 5000}, "clip length of 5000"),
        ({"short": "pad"}, "not 'pad'"),
        ({"crops": "nine"}, "no crops 'nine'"),
        ({"fps": 0.0}, "0.0 frames per second"),
        ({"sampling": "tsn"}, "no rule 'tsn'"),
    ],
)
def test_recipes_that_cannot_be(changes, message):
    with pytest.raises(Error, match=message):
        recipe_named("author20", **changes)
    with pytest.raises(TypeError):
        recipe_named("author20", speed=3)
    assert isinstance(recipe_named(Recipe("own", size=30, crop=20)), Recipe)
