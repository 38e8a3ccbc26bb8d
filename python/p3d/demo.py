"""What `p3d demo` makes by itself: short videos, weights without training, a picture of clips."""

from __future__ import annotations

import os
from collections.abc import Callable

import cv2
import numpy as np

from p3d import models, random_weights
from p3d.error import Error
from p3d.video.clips import ClipReader, open_video
from p3d.video.preprocess import MEAN
from p3d.video.recipe import Recipe
from p3d.video.write import write_video

# ---------------------------------------------------------------- videos


def write_videos(folder: str) -> list[str]:
    """Three drawn videos of different size and length, as real files; returns their paths."""
    os.makedirs(folder, exist_ok=True)
    return [
        _write(os.path.join(folder, "ball"), _ball, 100, 240, 320),
        _write(os.path.join(folder, "stripes"), _stripes, 64, 320, 240),
        _write(os.path.join(folder, "boxes"), _boxes, 150, 240, 426),
    ]


def _write(base: str, draw: Callable[[int, int, int], np.ndarray], n: int, h: int, w: int) -> str:
    return write_video(base, (draw(t, h, w) for t in range(n)))


def _ball(t: int, h: int, w: int) -> np.ndarray:
    """A ball that bounces through a room."""
    image = np.full((h, w, 3), (150, 120, 90), np.uint8)
    cv2.rectangle(image, (0, h - 50), (w, h), (70, 100, 130), -1)
    x = 25 + abs((7 * t) % (2 * (w - 50)) - (w - 50))
    y = h - 75 - int(130 * abs(np.sin(0.14 * t)))
    cv2.ellipse(image, (x, h - 42), (20, 5), 0, 0, 360, (45, 65, 85), -1)
    cv2.circle(image, (x, y), 25, (40, 60, 230), -1, cv2.LINE_AA)
    cv2.circle(image, (x - 8, y - 8), 7, (160, 170, 255), -1, cv2.LINE_AA)
    return image


def _stripes(t: int, h: int, w: int) -> np.ndarray:
    """Waves of colour that travel and turn."""
    y, x = np.mgrid[:h, :w]
    angle = 0.02 * t
    along = (x * np.cos(angle) + y * np.sin(angle)) / 40
    waves = [np.sin(2 * np.pi * (along - speed * t)) for speed in (0.03, 0.05, 0.08)]
    return (128 + 110 * np.dstack(waves)).astype(np.uint8)


def _boxes(t: int, h: int, w: int) -> np.ndarray:
    """Boxes that spin and cross the picture at different speeds."""
    image = np.full((h, w, 3), 235, np.uint8)
    for index, colour in enumerate([(200, 90, 30), (60, 170, 60), (30, 40, 200), (160, 60, 160)]):
        centre = ((90 * index + (index + 2) * t) % w, 35 + 55 * index)
        corners = cv2.boxPoints((centre, (50, 34), (index + 1) * 3.0 * t))
        cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    return image


# ---------------------------------------------------------------- weights


def write_weights(path: str, net: str, progress: Callable[[str], object] = print) -> None:
    """A .caffemodel for a net of `p3d models` in the released layout, from a fixed seed."""
    if os.path.exists(path):
        return
    from p3d import caffe

    progress(f"writing random weights to {path} (once)")
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    random_weights.write(caffe.Net(models.prototxt(net), caffe.TEST), path)


# ---------------------------------------------------------------- picture


def write_picture(path: str, videos: list[str], recipe: Recipe, lines: list[str]) -> None:
    """A PNG of what the net saw: per video a line of text, and four clips of four frames each."""
    from p3d.atomic import replacing

    rows = []
    for video, line in zip(videos, lines, strict=True):
        reader = ClipReader(open_video(video), recipe)
        clips = dict(reader)
        starts = reader.record()["starts"]
        chosen = [i * (len(clips) - 1) // 3 for i in range(4)]
        titles = [f"clip {i}: frame {starts[i]}..{starts[i] + recipe.length - 1}" for i in chosen]
        rows.append(_row(line, titles, [clips[i] for i in chosen]))
    ok, png = cv2.imencode(".png", np.vstack(rows))
    if not ok:
        raise Error(f"{path}: this OpenCV cannot write PNG images")
    with replacing(path) as file:
        file.write(png.tobytes())


def _row(line: str, titles: list[str], clips: list[np.ndarray], side: int = 96) -> np.ndarray:
    width, mean = len(clips) * (4 * side + 12), np.array(MEAN["frame"], np.float32)
    row = np.full((side + 62, width, 3), 255, np.uint8)
    _text(row, line, (6, 20), 0.5)
    for position, (title, clip) in enumerate(zip(titles, clips, strict=True)):
        left = position * (4 * side + 12) + 6
        _text(row, title, (left, 44), 0.42)
        for column in range(4):
            frame = clip[:, column * (clip.shape[1] - 1) // 3].transpose(1, 2, 0) + mean
            small = cv2.resize(frame.astype(np.uint8), (side, side), interpolation=cv2.INTER_AREA)
            x = left + column * side
            row[50 : 50 + side, x : x + side - 2] = small[:, :-2]  # a thin gap between frames
    return row


def _text(image: np.ndarray, text: str, where: tuple[int, int], size: float) -> None:
    cv2.putText(image, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, (30, 30, 30), 1, cv2.LINE_AA)
