"""Which frames make a clip: the authors' rule, number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from p3d.video.recipe import RECIPES
from p3d.video.sampling import author20, frame_indices

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
