"""Clip after clip of a list, past those that cannot be read."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from p3d.data.listed_clips import Bad, Clip, ListedClips
from p3d.data.share import ALL, Share
from p3d.error import Error


class Read(NamedTuple):
    """A clip and its pixels, uint8 (c, l, h, w), which hold until the next one is read."""

    clip: Clip
    pixels: np.ndarray


class Reading(Protocol):
    """Who reads: this process (Here), or several others (workers.Ahead)."""

    workers: int  # processes besides this one

    def take(self, position: int, skip: Callable[[int], bool]) -> Read | Bad:
        """What is at a position. Those after it are wanted next, but those that `skip` names."""

    def close(self) -> None:
        """Ends whatever works, and forgets what it has read; `take` may begin anew."""


class Here:
    """Reads when asked."""

    workers = 0

    def __init__(self, reader: ListedClips) -> None:
        self._reader = reader
        self._pixels = np.empty(reader.shape, np.uint8)

    def take(self, position: int, skip: Callable[[int], bool]) -> Read | Bad:
        result = self._reader.read(position, self._pixels)
        return result if isinstance(result, Bad) else Read(result, self._pixels)

    def close(self) -> None:
        """Nothing works ahead."""


class Loader:
    """Gives the clips from `position` on.

    A video that cannot be read is left out from then on, with one warning; more of them than
    `share` of all, rounded up, or all of them, are an Error.

    `own` says which clips are this rank's (see share.py): of all from `position` on that of its
    place. A rank that leaves one out takes the next of its own, and is ahead by one then.
    """

    def __init__(
        self, reader: ListedClips, reading: Reading, share: float, source: str, own: Share = ALL
    ) -> None:
        self.position = 0
        self._own = own
        self.bad: dict[int, str] = {}  # number of the video -> why
        self._reader, self._reading = reader, reading
        self._source = source
        count = len(reader.videos)
        self._allowed = min(math.ceil(share * count), count - 1)

    def next(self) -> Read:
        """The next clip that can be read."""
        while True:
            position = self.position + self._own.rank
            self.position += self._own.ranks
            if self._is_bad(position):
                continue
            result = self._reading.take(position, self._is_bad)
            if not isinstance(result, Bad):
                return result
            self._leave_out(self._reader.video(position), result.reason)

    def go(self, seed: int, position: int) -> None:
        """The next clip is that of another seed and position."""
        self._reading.close()
        self._reader.restart(seed)
        self.position = position

    def close(self) -> None:
        """Ends whatever works ahead."""
        self._reading.close()

    def _is_bad(self, position: int) -> bool:
        return bool(self.bad) and self._reader.video(position) in self.bad

    def _leave_out(self, video: int, reason: str) -> None:
        if video in self.bad:
            return
        self.bad[video] = reason
        if len(self.bad) > self._allowed:
            count = len(self._reader.videos)
            raise Error(
                f"source {self._source}: {len(self.bad)} of {count} videos cannot be read, more "
                f"than max_bad_share allows ({self._allowed}); the last: {reason}"
            )
        warnings.warn(f"{reason} (video {len(self.bad)} that is left out)", stacklevel=2)
