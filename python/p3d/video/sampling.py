"""Which frames make the clips of a video: small pure functions, frames counted from 0.

A rule gives the first frames of the clips, in order; `frame_indices` gives a clip's frames.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from p3d.error import Error

SHORT = ("loop", "repeat-last", "error")
"""What a video of fewer frames than a clip gets: see `frame_indices`."""


def author20(frames: int, length: int = 16, clips: int = 20) -> list[int]:
    """First frames of the clips by the authors' rule for feature extraction.

    Always `clips` clips of `length` consecutive frames. With stride = (frames - length - 2) / clips
    clip i (from 0) starts at floor(i * stride). The product is taken in double precision, as the
    authors' MATLAB does: with 182 frames clip 15 starts at 122, not at 15 * 164 / 20 = 123. A video
    of less than length + 2 frames starts every clip at frame 0.
    Source: the MATLAB code that the authors posted, which counts clips and frames from 1.
    """
    stride = max(0, frames - length - 2) / clips
    return [math.floor(i * stride) for i in range(clips)]


def even(frames: int, length: int, clips: int) -> Iterator[int]:
    """`clips` clips from the first to the last possible one, distances equal but for rounding.

    Clip i starts at floor(i * (frames - length) / (clips - 1)); a single clip is the middle one.
    """
    last = max(0, frames - length)
    if clips == 1:
        return iter([last // 2])
    return (i * last // (clips - 1) for i in range(clips))


def dense(frames: int | None, length: int, stride: int) -> Iterator[int]:
    """A clip every `stride` frames, as long as it is whole; a short video has one.

    `frames` may be None, not known yet: the starts then go on forever.
    """
    if frames is None:
        return itertools.count(0, stride)
    return iter(range(0, max(1, frames - length + 1), stride))


def frame_indices(start: int, length: int, frames: int, short: str = "loop") -> np.ndarray:
    """The frames of a clip, shape (length,).

    After the video's last frame the first follows ("loop"), or the last again ("repeat-last"), or
    it is an Error.
    """
    wanted = start + np.arange(length)
    if start + length > frames and short == "error":
        raise Error(
            f"the video has {frames} frames, a clip {length}: allow it with --short loop or "
            "--short repeat-last"
        )
    return np.minimum(wanted, frames - 1) if short == "repeat-last" else wanted % frames
