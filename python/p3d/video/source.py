"""What every kind of video offers: frames in order, counted by whoever reads them to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np


class Position(NamedTuple):
    """Where a frame is in its video: counted from 0, and in seconds where time is known."""

    frame: int
    time: float | None


Alive = Callable[[], object]
"""Called now and then by work that takes long, for whoever watches it."""


class Source(Protocol):
    """A video file, a folder of frames, or a folder of flow images."""

    path: str
    modality: str  # "frame": frames are (h, w, B G R); "flow": (h, w, x y)
    position: Position  # of the frame that `frames` gave last

    def estimate(self, alive: Alive = lambda: None) -> int:
        """How many frames there seem to be; cheap, and not to be trusted before they are read."""

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """Every frame in order as uint8 (h, w, c); None in place of one that is not wanted.

        `position` is the frame's when `wanted` is asked about it. A frame that is not wanted may
        be given all the same.
        """

    def record(self) -> dict[str, Any]:
        """What is known about the video, ready for JSON."""
