"""Clips along time with their likeliest classes, as one picture."""

from __future__ import annotations

import numpy as np

from p3d.error import Error
from p3d.packing.stored import Stored
from p3d.showing.clip_classes import ClipClasses
from p3d.showing.drawing import COLOURS, bar, curve, save, text, thumbnail
from p3d.showing.seen_video import seen_video

_W, _H, _GAP = 132, 100, 8  # of a thumbnail, pixels


def write(result: Stored, shown: ClipClasses, path: str, columns: int = 8) -> None:
    """A .png (or another kind of image that OpenCV writes): up to `columns` clips, and curves."""
    columns = min(columns, len(shown.starts))
    chosen = np.linspace(0, len(shown.starts) - 1, columns).round().astype(int)
    frames = _frames(result, shown.starts[chosen] + shown.length // 2)
    width = max(columns * (_W + _GAP) + _GAP, 480)
    rows = [_heading(result, shown, width), _strip(result, shown, chosen, frames, width)]
    if shown.names and len(shown.starts) > 1:
        rows.append(_curves(shown, width))
    save(path, np.vstack(rows))


def _frames(result: Stored, wanted: np.ndarray) -> list[np.ndarray]:
    """The frames of these numbers; after the last one, the last."""
    source = seen_video(result)
    last = int(result.meta["frames"]) - 1 if result.meta["recipe"].get("fps") is None else None
    numbers = wanted if last is None else np.minimum(wanted, last)
    found: dict[int, np.ndarray] = {}
    frame = None
    for index, each in enumerate(source.frames(set(numbers.tolist()).__contains__)):
        if each is not None:
            found[index] = frame = each
    if frame is None:
        raise Error(f"{result.meta['video']}: is not the video that these features are of")
    return [found.get(int(number), frame) for number in numbers]


def _heading(result: Stored, shown: ClipClasses, width: int) -> np.ndarray:
    image = np.full((28 + 18 * len(shown.names), width, 3), 255, np.uint8)
    clips = f"{len(shown.starts)} clips of {shown.length} frames"
    text(image, f"{result.name}   {clips}   {result.meta.get('net')}", _GAP, 18, 0.45)
    for row, name in enumerate(shown.names):
        y = 36 + 18 * row
        score = float(shown.scores[:, row].mean())
        bar(image, _GAP, y - 7, 160, score, COLOURS[row % len(COLOURS)])
        text(image, f"{score:.3f}  {name}", _GAP + 170, y)
    return image


def _strip(
    result: Stored,
    shown: ClipClasses,
    chosen: np.ndarray,
    frames: list[np.ndarray],
    width: int,
) -> np.ndarray:
    image = np.full((_H + 34, width, 3), 255, np.uint8)
    times = result.meta.get("times")
    for column, (clip, frame) in enumerate(zip(chosen, frames, strict=True)):
        x = _GAP + column * (_W + _GAP)
        image[4 : 4 + _H, x : x + _W] = thumbnail(frame, _H, _W)
        at = f"frame {shown.starts[clip]}" + (f", {times[clip]:.1f} s" if times else "")
        text(image, at, x, _H + 16, 0.35)
        if shown.names:
            best = int(shown.scores[clip].argmax())
            words = f"{shown.scores[clip, best]:.2f} {shown.names[best]}"
            text(image, words[:22], x, _H + 29, 0.35, COLOURS[best % len(COLOURS)])
    return image


def _curves(shown: ClipClasses, width: int, height: int = 90) -> np.ndarray:
    image = np.full((height + 12, width, 3), 255, np.uint8)
    top = max(float(shown.scores.max()), 1e-6)
    span = max(1, int(shown.starts[-1] - shown.starts[0]))
    xs = _GAP + (shown.starts - shown.starts[0]) * (width - 2 * _GAP) / span
    image[height, _GAP : width - _GAP] = 120
    for column in range(shown.scores.shape[1]):
        ys = height - shown.scores[:, column] / top * (height - 8)
        curve(image, xs, ys, COLOURS[column % len(COLOURS)])
    return image
