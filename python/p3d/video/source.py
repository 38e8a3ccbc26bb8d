"""What every kind of video offers: frames in order, counted by whoever reads them to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np


class Source(Protocol):
    """A video file, a folder of frames, or a folder of flow images."""

    path: str
    modality: str  # "frame": frames are (h, w, B G R); "flow": (h, w, x y)

    def estimate(self) -> int:
        """How many frames there seem to be; cheap, and not to be trusted before they are read."""

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """Every frame in order as uint8 (h, w, c); None in place of one that is not wanted."""

    def record(self) -> dict[str, Any]:
        """What is known about the video, ready for JSON."""
