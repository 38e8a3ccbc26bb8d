"""One video from its first clip, or frame, to its end, as events: the same here and in a child
process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.error import Error
from p3d.video.arrays import ClipArray
from p3d.video.clips import ClipReader, open_video
from p3d.video.flow import Size, grey
from p3d.video.frames import check_no_direction
from p3d.video.recipe import Recipe
from p3d.video.source import Alive


class Reading(NamedTuple):
    """What is read how.

    shape    the (c, l, h, w) of clips that come ready, as .npy
    threads  that make flow of videos where `modality` is "flow"
    """

    video: str | np.ndarray
    modality: str
    recipe: Recipe
    shape: tuple[int, int, int, int]
    threads: int = 1


class GreyFrames(NamedTuple):
    """Every frame of a video as a grey image uint8 (h, w), of the size that FlowOptions name."""

    video: str
    size: Size


class FrameCount(NamedTuple):
    """How many frames a video seems to have: no events, the record says "frames"."""

    video: str


AnyReading = Reading | GreyFrames | FrameCount


class Clip(NamedTuple):
    """One view of a clip: uint8 before the mean is subtracted, float32 after. 0 starts afresh. Of
    GreyFrames, a frame."""

    number: int
    values: np.ndarray


class End(NamedTuple):
    """The record of the video (see ClipReader), or what went wrong with it."""

    result: dict[str, Any] | Exception


def read(reading: AnyReading, alive: Alive = lambda: None) -> Iterator[Clip | End]:
    """The clips of a video and its end; whatever is wrong with it is the end, too."""
    try:
        if isinstance(reading, Reading):
            yield from _clips(reading, alive)
        elif isinstance(reading, GreyFrames):
            yield from _grey_frames(reading, alive)
        else:
            yield End({"frames": open_video(reading.video).estimate(alive)})
    except (Error, OSError, MemoryError) as error:
        yield End(error)
    except Exception as error:  # OpenCV's own, and what nobody thought of: this video's fault
        text = error.err if isinstance(error, cv2.error) else f"{type(error).__name__}: {error}"
        yield End(Error(f"{reading.video}: cannot be read ({text})"))


def _clips(reading: Reading, alive: Alive) -> Iterator[Clip | End]:
    if isinstance(reading.video, np.ndarray) or reading.video.lower().endswith(".npy"):
        ready = ClipArray(reading.video, reading.shape)
        yield from (Clip(*pair) for pair in ready)
        yield End(ready.record())
        return
    source = open_video(reading.video, reading.modality, reading.threads)
    reader = ClipReader(source, reading.recipe, alive)
    yield from (Clip(*pair) for pair in reader.pixels())
    yield End(reader.record())


def _grey_frames(reading: GreyFrames, alive: Alive) -> Iterator[Clip | End]:
    check_no_direction(reading.video)
    source = open_video(reading.video)
    for number, frame in enumerate(source.frames(lambda _: True)):
        alive()
        assert frame is not None, "all are wanted"
        yield Clip(number, grey(frame, reading.size))
    yield End(source.record())
