"""Flow that is made of a video while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import cv2
import drawn
import numpy as np
import pytest

import p3d
from p3d import Error, flow_folders
from p3d.video.clips import ClipReader, open_video
from p3d.video.flow import FlowOptions, FlowVideo, grey
from p3d.video.inputs import Item
from p3d.video.recipe import Recipe
from p3d.video.source import Position
from p3d.video.tvl1 import Tvl1, to_images


class Numbered:
    """A video whose frame i is all i, at second times[i]."""

    path = "numbered"
    modality = "frame"
    position = Position(0, None)

    def __init__(self, times: list[float], sides: Callable[[int], int] = lambda _: 20) -> None:
        self.times, self.sides = times, sides
        self.read: list[int] = []

    def estimate(self, alive: Any = None) -> int:
        return len(self.times)

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        for index, time in enumerate(self.times):
            self.position = Position(index, time)
            if not wanted(index):
                yield None
                continue
            self.read.append(index)
            yield np.full((20, self.sides(index), 3), index, np.uint8)

    def record(self) -> dict[str, Any]:
        return {"fps": 25.0}


def steady(frames: int) -> list[float]:
    return [index / 25 for index in range(frames)]


class Both(Tvl1):
    """As flow whose images show what the two frames do."""

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.dstack([first, second]).astype(np.float32) - np.float32(127.5)


NUMBERS = FlowOptions(bound=127.5, size=None, method=Both())


def shown(
    flow: FlowVideo, wanted: Callable[[int], bool] = lambda _: True
) -> list[tuple[int, int] | None]:
    """The numbers of the frames that each flow is between."""
    return [
        None if image is None else (int(image[0, 0, 0]), int(image[0, 0, 1]))
        for image in flow.frames(wanted)
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_flow_is_between_neighbours_and_is_where_the_first_one_is(threads: int) -> None:
    flow = FlowVideo(Numbered(steady(12)), NUMBERS, threads)
    assert flow.estimate() == 11
    assert shown(flow) == [(i, i + 1) for i in range(11)]
    assert [flow.position.frame for _ in flow.frames(lambda _: True)] == list(range(11))


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_not_wanted_is_not_made(threads: int) -> None:
    source = Numbered(steady(20))
    flow = FlowVideo(source, NUMBERS, threads)
    wanted = {3, 4, 9}
    expected = [(i, i + 1) if i in wanted else None for i in range(19)]
    assert shown(flow, wanted.__contains__) == expected
    assert source.read == [3, 4, 5, 9, 10]
    assert shown(flow, lambda _: False) == [None] * 19


def test_at_another_rate_flow_is_between_the_frames_at_that_rate() -> None:
    flow = FlowVideo(Numbered(steady(7)), NUMBERS, 2)
    assert shown(flow.at_rate(12.5)) == [(0, 2), (2, 4), (4, 6)]
    assert shown(flow.at_rate(50))[:4] == [(0, 1), (1, 1), (1, 2), (2, 2)]


@pytest.mark.parametrize(("frames", "starts"), [(70, [0, 40]), (12, [0])])
def test_clips_of_flow(frames: int, starts: list[int]) -> None:
    """Where they start, what they hold, how they are recorded; a short video goes round."""
    recipe = Recipe("x", size=20, crop=20, stride=40, sampling="dense")
    reader = ClipReader(FlowVideo(Numbered(steady(frames)), NUMBERS, 2), recipe)
    clips = [pixels for _, pixels in reader.pixels()]
    for start, clip in zip(starts, clips, strict=True):
        numbers = [(start + i) % (frames - 1) for i in range(16)]
        assert clip[0, :, 0, 0].tolist() == numbers
        assert clip[1, :, 0, 0].tolist() == [number + 1 for number in numbers]
    record = reader.record()
    assert record["modality"] == "flow"
    assert record["frames"] == frames - 1
    assert record["flow"]["method"] == "tvl1"
    assert record["starts"] == starts


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Numbered(steady(1)), "numbered: flow is between two frames, and there is one"),
        (
            Numbered(steady(9), lambda i: 20 + i // 5),
            "numbered: frames 4 and 5: .* two grey images .* of one size",
        ),
    ],
)
def test_what_has_no_flow(source: Numbered, message: str) -> None:
    with pytest.raises(Error, match=message):
        list(FlowVideo(source, FlowOptions(size=None), 2).frames(lambda _: True))


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((48, 64), None, (48, 64)),
        ((48, 64), 256, (48, 64)),
        ((720, 1280), 256, (256, 455)),
        ((641, 359), 256, (457, 256)),
        ((48, 64), (40, 32), (32, 40)),
        ((48, 64), (100, 20), (20, 100)),
    ],
)
def test_sizes_of_frames(shape: tuple[int, int], size: Any, expected: tuple[int, int]) -> None:
    image = grey(np.full((*shape, 3), 77, np.uint8), size)
    assert image.shape == expected
    assert (image == 77).all()


def expected_flow() -> list[np.ndarray]:
    """Of the drawn frames, each PNG exactly."""
    greys = [cv2.cvtColor(drawn.picture(index), cv2.COLOR_BGR2GRAY) for index in range(18)]
    return [to_images(Tvl1()(before, after)) for before, after in pairwise(greys)]


@pytest.mark.parametrize("name", ["frames", "frames/img_%05d.png"])
def test_flow_of_a_folder_of_frames_is_the_frames(tmp_path, name: str) -> None:
    drawn.write_frames(tmp_path / "frames", "img_%05d.png", range(1, 19))
    source = open_video(tmp_path / name, "flow", flow_threads=2)
    for found, expected in zip(source.frames(lambda _: True), expected_flow(), strict=True):
        assert found is not None
        np.testing.assert_array_equal(found, expected)


def test_images_that_are_there_are_taken(tmp_path) -> None:
    """Beside frames; and by clips of a video as `p3d flow` would have written them."""
    video = drawn.write_video(tmp_path / "some.mp4", 18)
    folders = flow_folders.FlowFolders(str(tmp_path), FlowOptions(), 2, quality=100)
    assert folders.make(Item(str(video), "flow")) == 17
    folders.close()
    drawn.write_frames(tmp_path / "flow", "img_%05d.png", range(5))
    small = {"modality": "flow", "crop": 32, "size": 34, "stride": 1}
    ours, stored = (list(p3d.clips(path, **small)) for path in (video, tmp_path / "flow"))
    assert len(ours) == len(stored) == 2
    for one, other in zip(ours, stored, strict=True):
        assert one.values.shape == (2, 16, 32, 32)
        assert one.time is not None
        assert other.time is None
        assert np.abs(one.values - other.values).mean() < 0.5


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: None, "there is no such video or folder"),
        (lambda path: path.mkdir(), "no numbered frames in it .*; it is empty"),
        (lambda path: path.write_bytes(b"no video"), "OpenCV finds no video in it"),
    ],
)
def test_what_has_neither_flow_nor_frames(tmp_path, prepare, message: str) -> None:
    prepare(tmp_path / "what")
    with pytest.raises(Error, match=message):
        list(open_video(tmp_path / "what", "flow", flow_threads=1).frames(lambda _: True))


def test_flow_of_flow_is_refused(tmp_path) -> None:
    drawn.write_frames(tmp_path, "flow_x_%05d.jpg", range(3))
    with pytest.raises(Error, match="flow in one direction; name the folder"):
        open_video(tmp_path / "flow_x_%05d.jpg", "flow", flow_threads=1)


def test_whoever_watches_hears_of_every_frame_that_is_decoded() -> None:
    """Not of those alone that come, which is late with many threads."""
    seen: list[int] = []
    source = Numbered(steady(40))
    recipe = Recipe("x", size=20, crop=20, stride=40, sampling="dense")
    reader = ClipReader(
        FlowVideo(source, NUMBERS, 8), recipe, alive=lambda: seen.append(len(source.read))
    )
    next(iter(reader.pixels()))
    first = seen.index(17)  # the last frame of the first clip
    assert set(range(2, 17)) <= set(seen[: first + 1])


def test_each_frame_is_asked_about_once_and_in_order() -> None:
    asked: list[int] = []

    def wanted(index: int) -> bool:
        asked.append(index)
        return index % 3 == 0

    list(FlowVideo(Numbered(steady(20)), NUMBERS, 3).frames(wanted))
    assert asked == sorted(set(asked))
