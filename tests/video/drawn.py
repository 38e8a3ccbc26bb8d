"""Videos for the tests, drawn and written by OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def picture(index: int, h: int = 48, w: int = 64) -> np.ndarray:
    """Frame `index` of a drawn video: its own grey level, a blue and a red corner, a moving bar."""
    image = np.full((h, w, 3), 40 + (index * 7) % 160, np.uint8)
    image[: h // 4, : w // 4] = (255, 0, 0)
    image[-(h // 4) :, -(w // 4) :] = (0, 0, 255)
    image[:, (3 * index) % w] = 255
    return image


def write_video(path: Path, frames: int, h: int = 48, w: int = 64, codec: str = "mp4v") -> Path:
    """A real file of `frames` pictures. mp4v needs even sides."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25.0, (w, h))
    assert writer.isOpened(), f"this OpenCV cannot write {codec}"
    for index in range(frames):
        writer.write(picture(index, h, w))
    writer.release()
    return path


def write_frames(folder: Path, pattern: str, numbers, h: int = 48, w: int = 64) -> Path:
    """Images `pattern % number`, one per number; pictures count from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, number in enumerate(numbers):
        file = folder / (pattern % number)
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), picture(index, h, w))
    return folder
