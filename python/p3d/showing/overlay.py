"""The video itself with what the net says written into it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

from p3d.error import Error
from p3d.packing.stored import Stored
from p3d.showing.clip_classes import ClipClasses
from p3d.showing.drawing import COLOURS, text, thumbnail
from p3d.video.clips import open_video

_SMALLEST = 320  # pixels of width, so that names can be read


def write(result: Stored, shown: ClipClasses, path: str) -> None:
    """An .mp4; frame i shows the classes of the clip whose middle is nearest to it."""
    if not shown.names:
        raise Error(f"{result.base}: has no classes per clip; extract with --blobs pool5,prob")
    source = open_video(result.meta["video"], result.meta["modality"])
    fps = float(result.meta.get("fps") or 25)
    middles = shown.starts + (shown.length - 1) / 2
    with tempfile.TemporaryDirectory(prefix=".p3d-", dir=Path(path).absolute().parent) as folder:
        whole = os.path.join(folder, "overlay.mp4")  # OpenCV wants a name, and its ending
        writer = None
        for index, frame in enumerate(source.frames(lambda _: True)):
            assert frame is not None
            picture = _picture(frame)
            if writer is None:
                writer = _writer(whole, picture, fps)
            _write_classes(picture, shown, int(np.abs(middles - index).argmin()))
            writer.write(picture)
        if writer is None:
            raise Error(f"{result.meta['video']}: has no frames")
        writer.release()
        if not cv2.VideoCapture(whole).isOpened():  # OpenCV does not say that a disk was full
            raise Error(f"cannot write {path}: the video could not be finished; is the disk full?")
        os.replace(whole, path)


def _picture(frame: np.ndarray) -> np.ndarray:
    """As the codec wants it: three channels, even sides; as people do: not too small."""
    h, w = frame.shape[:2]
    scale = max(1.0, _SMALLEST / w)
    return thumbnail(frame, int(h * scale) // 2 * 2 or 2, int(w * scale) // 2 * 2)


def _write_classes(picture: np.ndarray, shown: ClipClasses, clip: int) -> None:
    height = 18 * len(shown.names) + 6
    picture[:height] = picture[:height] // 4 + 160  # a light ground to read on
    for row, name in enumerate(shown.names):
        line = f"{shown.scores[clip, row]:.3f}  {name}"
        text(picture, line, 6, 16 + 18 * row, 0.45, COLOURS[row % len(COLOURS)])


def _writer(path: str, picture: np.ndarray, fps: float) -> cv2.VideoWriter:
    h, w = picture.shape[:2]
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), fps, (w, h))
    if not writer.isOpened():
        raise Error(f"{Path(path).parent.parent}: this OpenCV cannot write an mp4 file there")
    return writer
