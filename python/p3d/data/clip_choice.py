"""Which frames of a video make a clip: small pure functions, frames counted from 0."""

from __future__ import annotations

import itertools

import numpy as np

from p3d.error import Error
from p3d.video import sampling


def random_start(frames: int, span: int, share: float) -> int:
    """Any first frame at which a clip of `span` frames is whole; `share` is uniform in [0, 1).

    A video that is shorter starts at 0.
    """
    return int(share * (max(0, frames - span) + 1))


def even_start(frames: int, span: int, clip: int, clips: int) -> int:
    """The first frame of clip `clip` of `clips`, evenly spaced (see sampling.even)."""
    return next(itertools.islice(sampling.even(frames, span, clips), clip, None))


def given_start(frames: int, start: int, path: str) -> int:
    """`start`, if the video at `path` has that frame."""
    if start >= frames:
        raise Error(f"{path}: start_frame {start} is not in the video, which has {frames} frames")
    return start


def span(length: int, rate: int) -> int:
    """From how many frames in a row a clip of `length` takes every `rate`-th."""
    return (length - 1) * rate + 1


def frames_of(start: int, length: int, rate: int, frames: int) -> np.ndarray:
    """The frames of a clip, (length,); after the video's last frame the first follows."""
    return (start + rate * np.arange(length)) % frames
