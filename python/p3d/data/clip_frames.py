"""The frames of one clip out of a video."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from p3d.error import Error
from p3d.video.source import Alive, Source


def read_frames(
    source: Source, choose: Callable[[int], np.ndarray], alive: Alive = lambda: None
) -> list[np.ndarray]:
    """The frames that choose(number of frames) names, uint8 (h, w, c), in its order.

    The number is an estimate at first; where the video ends before a frame that was chosen, the
    choice is made again with the number that was found. Nothing behind the last frame is decoded,
    and nothing that is not wanted where files allow it. `alive` is called for every frame.
    """
    believed = source.estimate(alive)
    for _ in range(3):
        if believed < 1:
            raise Error(f"{source.path}: there are no frames in it")
        wanted = choose(believed)
        found, read = _decode(source, set(wanted.tolist()), alive)
        if found:
            return [found[index] for index in wanted.tolist()]
        believed = read
    raise Error(f"{source.path}: decodes to another number of frames every time")


def _decode(source: Source, wanted: set[int], alive: Alive) -> tuple[dict[int, np.ndarray], int]:
    """({index: frame}, frames read); no frames where the video ends too early."""
    found: dict[int, np.ndarray] = {}
    count = 0
    for index, frame in enumerate(source.frames(wanted.__contains__)):
        alive()
        count += 1
        if frame is not None and index in wanted:
            found[index] = frame
            if len(found) == len(wanted):
                return found, count
    return {}, count
