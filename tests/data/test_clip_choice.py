"""Which frames make a clip, by tables."""

from __future__ import annotations

import numpy as np
import pytest

from p3d import Error
from p3d.data import clip_choice
from p3d.data.clip_frames import read_frames


@pytest.mark.parametrize(
    ("length", "rate", "span"), [(16, 1, 16), (16, 2, 31), (1, 5, 1), (3, 4, 9)]
)
def test_span(length: int, rate: int, span: int) -> None:
    assert clip_choice.span(length, rate) == span


@pytest.mark.parametrize(
    ("frames", "span", "starts"), [(20, 16, range(5)), (16, 16, [0]), (7, 16, [0]), (1, 1, [0])]
)
def test_random_start_is_any_and_only_where_the_clip_is_whole(frames, span, starts) -> None:
    shares = np.linspace(0, 1, 1000, endpoint=False)
    found = [clip_choice.random_start(frames, span, share) for share in shares]
    assert set(found) == set(starts)
    assert clip_choice.random_start(frames, span, np.nextafter(1, 0)) == max(starts)
    counts = np.bincount(found)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("frames", "span", "clips", "starts"),
    [(30, 10, 3, [0, 10, 20]), (30, 10, 1, [10]), (31, 10, 4, [0, 7, 14, 21]), (5, 10, 2, [0, 0])],
)
def test_even_start(frames: int, span: int, clips: int, starts: list[int]) -> None:
    assert [clip_choice.even_start(frames, span, i, clips) for i in range(clips)] == starts


@pytest.mark.parametrize(
    ("start", "length", "rate", "frames", "expected"),
    [
        (2, 4, 1, 10, [2, 3, 4, 5]),
        (2, 4, 3, 12, [2, 5, 8, 11]),
        (8, 4, 1, 10, [8, 9, 0, 1]),
        (0, 5, 2, 3, [0, 2, 1, 0, 2]),
    ],
)
def test_frames_of(start, length, rate, frames, expected) -> None:
    assert clip_choice.frames_of(start, length, rate, frames).tolist() == expected


def test_a_start_behind_the_end() -> None:
    assert clip_choice.given_start(5, 4, "a.mp4") == 4
    with pytest.raises(Error, match=r"a\.mp4: start_frame 5 is not in the video, which has 5 f"):
        clip_choice.given_start(5, 5, "a.mp4")


class Video:
    """Frame i is the number i; `estimate` may be wrong."""

    path = "video"

    def __init__(self, frames: int, believed: int) -> None:
        self._frames, self._believed = frames, believed
        self.asked = -1

    def estimate(self, alive) -> int:
        return self._believed

    def frames(self, wanted):
        for index in range(self._frames):
            self.asked = index
            yield np.full((2, 2, 3), index, np.uint8) if wanted(index) else None


@pytest.mark.parametrize(
    ("frames", "believed", "expected", "last"),
    [
        (10, 10, [7, 8, 9], 9),
        (20, 10, [7, 8, 9], 9),  # nothing behind the last frame is decoded
        (9, 10, [6, 7, 8], 8),  # chosen again with the true number
        (2, 10, [0, 1, 0], 1),
    ],
)
def test_read_frames(frames: int, believed: int, expected: list[int], last: int) -> None:
    def the_end(count: int) -> np.ndarray:
        return clip_choice.frames_of(max(0, count - 3), 3, 1, count)

    video = Video(frames, believed)
    assert [frame[0, 0, 0] for frame in read_frames(video, the_end)] == expected
    assert video.asked == last


@pytest.mark.parametrize(("frames", "believed"), [(0, 0), (0, 5)])
def test_no_frames_at_all(frames: int, believed: int) -> None:
    with pytest.raises(Error, match="there are no frames in it"):
        read_frames(Video(frames, believed), lambda count: np.arange(3) % count)
