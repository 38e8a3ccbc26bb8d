"""Frames to a video file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain

import cv2
import numpy as np

from p3d.error import Error
from p3d.video.decode import VideoFile

MP4 = (".mp4", "mp4v")
_AVI = (".avi", "MJPG")


def write_video(
    base: str,
    frames: Iterable[np.ndarray],
    rate: float = 25.0,
    formats: Sequence[tuple[str, str]] = (MP4, _AVI),
) -> str:
    """Writes images (h, w, 3) B G R, all of one even size, whole or not at all; returns the path.

    It is `base` and the ending of the first of `formats`, (ending, codec), that this OpenCV can
    write: .mp4, or else .avi. Raises Error where that is none, and on a full disk.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise Error(f"{base}: a video has at least one frame")
    place = os.path.dirname(os.path.abspath(base))
    if not os.path.isdir(place):
        raise Error(f"cannot write {base}{formats[0][0]}: there is no folder {place}")
    with tempfile.TemporaryDirectory(prefix=".p3d-", dir=place) as folder:
        for ending, codec in formats:
            whole = os.path.join(folder, f"video{ending}")  # OpenCV wants a name
            writer = _writer(whole, codec, first, rate)
            if writer.isOpened():
                count = _write(writer, chain([first], frames))
                if _packets(whole) < count:  # of which OpenCV says nothing
                    raise Error(f"cannot write {base}{ending}: not all of it; is the disk full?")
                os.replace(whole, base + ending)
                return base + ending
    endings = " nor ".join(ending for ending, _ in formats)
    raise Error(f"{base}: this OpenCV can write no {endings} files here")


def _writer(path: str, codec: str, first: np.ndarray, rate: float) -> cv2.VideoWriter:
    size = (first.shape[1], first.shape[0])
    return cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), rate, size)


def _write(writer: cv2.VideoWriter, frames: Iterable[np.ndarray]) -> int:
    count = 0
    for frame in frames:
        writer.write(frame)
        count += 1
    writer.release()
    return count


def _packets(path: str) -> int:
    try:
        return VideoFile(path).estimate()
    except Error:
        return 0
