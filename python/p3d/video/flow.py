"""The optical flow of a video as a video of two channels, x and y."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    def between(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """uint8 (h, w, 2) from two frames as `grey` makes them."""
        try:
            return to_images(self.method(before, after), self.bound)
        except cv2.error as error:
            raise Error(f"no flow between frames of {before.shape}: {error.err}") from error

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

    Flow is computed where it is wanted alone, by several threads. Its images are those that
    `p3d flow` writes, but for the losses of JPEG.
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

    def _pairs(self, wanted: Callable[[int], bool]) -> Iterator[tuple[Position, Any, Any]]:
        """Where each frame but the last is, with it and the next one; None for what is not wanted.

        Both are grey.
        """

        def either(index: int) -> bool:
            self.position = self._source.position
            return wanted(index) or (index > 0 and wanted(index - 1))

        before: np.ndarray | None = None
        count, position = 0, Position(0, None)
        for frame in self._source.frames(either):
            after = None if frame is None else grey(frame, self._options.size)
            if count > 0:
                both = (before, after) if wanted(count - 1) else (None, None)
                yield (position, *both)
            before, position = after, self._source.position
            count += 1
        if count == 1:
            raise Error(f"{self.path}: flow is between two frames, and it has one")

    def _flow(
        self, pair: tuple[Position, np.ndarray | None, np.ndarray | None]
    ) -> tuple[Position, np.ndarray | None]:
        position, before, after = pair
        if before is None or after is None:
            return position, None
        try:
            return position, self._options.between(before, after)
        except Error as error:
            raise Error(f"{self.path}: {error}") from error
