"""Another frame rate: frames by their times, constant or not."""

from __future__ import annotations

import numpy as np
import pytest

from p3d import Error
from p3d.video.resampled import Resampled
from p3d.video.source import Position


class Timed:
    """Frame i shows i and is at second times[i]."""

    path = "timed"
    modality = "frame"

    def __init__(self, times, fps=25.0):
        self.times, self.fps = times, fps

    def estimate(self, alive=lambda: None):
        return len(self.times)

    def frames(self, wanted):
        for index, time in enumerate(self.times):
            self.position = Position(index, time)
            yield np.full((1, 1, 3), index, np.uint8) if wanted(index) else None

    def record(self):
        return {"fps": self.fps}


def shown(source, fps, wanted=lambda index: True):
    """What each frame shows (None if it was not wanted), and where it is in the source."""
    resampled = Resampled(source, fps)
    return [
        (None if frame is None else int(frame[0, 0, 0]), resampled.position.frame)
        for frame in resampled.frames(wanted)
    ]


def steady(frames, fps=25.0):
    return [round(index / fps, 6) for index in range(frames)]


@pytest.mark.parametrize(
    ("times", "fps", "expected"),
    [
        (steady(6), 25, [0, 1, 2, 3, 4, 5]),
        (steady(6), 12.5, [0, 2, 4]),
        (steady(6), 10, [0, 3, 5]),
        (steady(4), 50, [0, 1, 1, 2, 2, 3, 3]),
        (steady(5, 30000 / 1001), 30000 / 1001, [0, 1, 2, 3, 4]),
        ([0, 0.04, 0.5, 0.54, 1.0], 10, [0, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4]),  # variable rate
        ([0, 0.04, 0.5, 0.54, 1.0], 2, [0, 2, 4]),
        ([0.0], 8, [0]),
        ([0, 0.2, 0.1, 0.3], 10, [0, 1, 1, 3]),  # times that run backwards
    ],
)
def test_each_frame_is_the_first_at_or_after_its_time(times, fps, expected):
    for index, at in enumerate(expected[:-1]):
        assert times[at] >= index / fps - 1e-3
    assert shown(Timed(times), fps) == [(index, index) for index in expected]


@pytest.mark.parametrize("fps", [7, 25, 60])
def test_frames_that_are_wanted_are_given_whatever_else_is_not(fps):
    everything = shown(Timed(steady(40)), fps)
    for only in range(len(everything)):
        some = shown(Timed(steady(40)), fps, wanted=lambda index, only=only: index == only)
        assert some[only] == everything[only]
        assert len(some) == len(everything)


@pytest.mark.parametrize("frames", [1, 2, 39, 40])
@pytest.mark.parametrize("fps", [3, 12.5, 25, 31])
def test_the_estimate_is_right_for_a_constant_rate(frames, fps):
    source = Timed(steady(frames))
    assert Resampled(source, fps).estimate() == len(shown(source, fps))


def test_frames_without_times():
    with pytest.raises(Error, match="timed: its frames have no times"):
        shown(Timed([None, None]), 5)
