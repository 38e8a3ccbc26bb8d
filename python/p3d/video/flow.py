"""The optical flow of a video as a video of two channels, x and y."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.error import Error
from p3d.video.ahead import in_order
from p3d.video.decode import opencv_threads_off
from p3d.video.resampled import Resampled
from p3d.video.source import Alive, Position, Source
from p3d.video.tvl1 import Tvl1, to_images

Size = int | tuple[int, int] | None


class FlowOptions(NamedTuple):
    """How flow images are made.

    bound   pixels: -bound..bound are 0..255, what is beyond is cut off
    size    of the frames: (w, h); or how long their short edge is at most; None: as they are. The
            usual one leaves UCF-101 and HMDB-51 alone and makes others as small as Kinetics is kept
    """

    bound: float = 20.0
    size: Size = 256
    method: Tvl1 = Tvl1()

    def between(self, path: str, number: int, pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """uint8 (h, w, 2) from frame `number` of a video, counted from 0, to the next one, both as
        `grey` makes them."""
        try:
            return to_images(self.method(*pair), self.bound)
        except (Error, cv2.error) as error:
            why = error.err if isinstance(error, cv2.error) else error
            raise Error(f"{path}: frames {number} and {number + 1}: {why}") from error

    def record(self) -> dict[str, Any]:
        """All that the images depend on, but for the video; ready for JSON."""
        return {
            "method": "tvl1",
            **self.method._asdict(),
            "bound": self.bound,
            "size": list(self.size) if isinstance(self.size, tuple) else self.size,
        }


def grey(frame: np.ndarray, size: Size) -> np.ndarray:
    """uint8 (h, w) of a frame (h, w, B G R), made another size as FlowOptions says."""
    image = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    height, width = image.shape
    if isinstance(size, int):
        scale = min(1.0, size / min(height, width))
        size = (round(width * scale), round(height * scale))
    if size is None or size == (width, height):
        return image
    smaller = size[0] <= width and size[1] <= height
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


class FlowVideo:
    """A Source whose frame i is the flow from frame i of another source to the next one.

    Flow is computed where it is wanted alone, by several threads; `position` is right for the
    frame that was given. Images are those that `p3d flow` writes with the same options, but for the
    losses of JPEG.
    """

    modality = "flow"

    def __init__(self, source: Source, options: FlowOptions, threads: int) -> None:
        self.path = source.path
        self.position = Position(0, None)
        self._source, self._options, self._threads = source, options, threads

    def at_rate(self, fps: float) -> FlowVideo:
        """The flow between the frames of the source at another rate."""
        return FlowVideo(Resampled(self._source, fps), self._options, self._threads)

    def estimate(self, alive: Alive = lambda: None) -> int:
        """One less than the source's."""
        return max(1, self._source.estimate(alive) - 1)

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """See Source; `wanted` is asked some frames ahead."""
        with opencv_threads_off():
            flows = in_order(self._flow, self._pairs(wanted), self._threads)
            for self.position, flow in flows:
                yield flow

    def record(self) -> dict[str, Any]:
        """That of the source, and how flow is made."""
        return {**self._source.record(), "flow": self._options.record()}

    def _pairs(self, wanted: Callable[[int], bool]) -> Iterator[_Pair]:
        asked = lru_cache(4)(wanted)  # each frame is asked about once, in order

        def either(index: int) -> bool:
            return (index > 0 and asked(index - 1)) or asked(index)

        before: np.ndarray | None = None
        position = Position(0, None)
        index = -1
        for index, frame in enumerate(self._source.frames(either)):
            after = None if frame is None else grey(frame, self._options.size)
            if index > 0:
                yield _Pair(position, index - 1, asked(index - 1), before, after)
            before, position = after, self._source.position
        if index == 0:
            raise no_flow_of_one(self.path)

    def _flow(self, pair: _Pair) -> tuple[Position, np.ndarray | None]:
        if not pair.wanted or pair.before is None or pair.after is None:
            return pair.position, None
        both = (pair.before, pair.after)
        return pair.position, self._options.between(self.path, pair.number, both)


def no_flow_of_one(path: str) -> Error:
    """What to raise for a video of one frame."""
    return Error(f"{path}: flow is between two frames, and there is one (at this rate)")


class _Pair(NamedTuple):
    """Frame `number` and the next one, both grey; None for frames that were not wanted."""

    position: Position
    number: int
    wanted: bool
    before: np.ndarray | None
    after: np.ndarray | None
