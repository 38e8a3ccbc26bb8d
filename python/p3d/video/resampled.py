"""A video at another frame rate, by the timestamps of its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from p3d.error import Error
from p3d.video.source import Alive, Position, Source

_LEAST_GAP = 1e-4  # seconds: timestamps are rounded to at best this


class Resampled:
    """Frame k is the first frame of the source at or after k / fps seconds.

    So frames are left out or repeated, never mixed; `position` is that in the source.
    """

    def __init__(self, source: Source, fps: float) -> None:
        self.path = source.path
        self.modality = source.modality
        self.position = Position(0, None)
        self._source, self._fps = source, fps
        self._count = 0  # of the source's frames, known at the end

    def estimate(self, alive: Alive = lambda: None) -> int:
        """From the source's estimate and the frame rate of its header."""
        frames = self._source.estimate(alive)
        own = float(self._source.record().get("fps") or 0)
        return max(1, int((frames - 1) / own * self._fps + 1.001)) if own > 0 else frames

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """See Source."""
        given = 0

        def covered() -> range:
            """The new frames that the source's present frame is."""
            time = self._source.position.time
            if time is None:
                raise Error(f"{self.path}: its frames have no times, so --fps cannot apply to them")
            return range(given, int((time + _LEAST_GAP) * self._fps) + 1)

        self._count = 0
        for frame in self._source.frames(lambda _: any(map(wanted, covered()))):
            self._count += 1
            self.position = self._source.position
            these = covered()
            for _ in these:
                yield frame
            given = max(given, these.stop)

    def record(self) -> dict[str, Any]:
        """That of the source, and how many frames it has."""
        return {**self._source.record(), "frames_of_file": self._count}
