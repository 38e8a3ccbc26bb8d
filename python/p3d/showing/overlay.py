"""The video itself with what the net says written into it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from p3d.error import Error
from p3d.packing.stored import Stored
from p3d.showing.clip_classes import ClipClasses
from p3d.showing.drawing import COLOURS, text, thumbnail
from p3d.showing.seen_video import seen_video
from p3d.video.source import Source
from p3d.video.write import MP4, write_video

_SMALLEST = 320  # pixels of width, so that names can be read


def write(result: Stored, shown: ClipClasses, path: str) -> None:
    """An .mp4; frame i shows the classes of the clip whose middle is nearest to it."""
    if not shown.names:
        raise Error(f"{result.base}: has no classes per clip; extract with --blobs pool5,prob")
    source = seen_video(result)
    base, ending = os.path.splitext(path)
    rate = float(result.meta.get("fps") or 25)
    write_video(base, _pictures(source, shown), rate, [(ending, MP4[1])])


def _pictures(source: Source, shown: ClipClasses) -> Iterator[np.ndarray]:
    middles = shown.starts + (shown.length - 1) / 2
    for index, frame in enumerate(source.frames(lambda _: True)):
        assert frame is not None
        picture = _picture(frame)
        _write_classes(picture, shown, int(np.abs(middles - index).argmin()))
        yield picture


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
