"""What classes were taken for what, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from p3d.showing.drawing import INK, save, text

_CELL, _LEFT, _TOP, _GAP = 44, 150, 60, 24


def write(tables: Mapping[str, np.ndarray], classes: Sequence[str], path: str) -> None:
    """Draws tables of counts [true class, answer] side by side, under their names."""
    save(path, np.hstack([_draw(name, table, classes) for name, table in tables.items()]))


def _draw(name: str, table: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    side = len(classes) * _CELL
    image = np.full((_TOP + side + _LEFT, _LEFT + side + _GAP, 3), 255, np.uint8)
    right = np.trace(table) / max(1, table.sum())
    text(image, f"{name}: {right:.0%} right", _LEFT, 24, 0.5)
    text(image, "rows: the class, columns: the answer", _LEFT, 46, 0.38)
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    for i, label in enumerate(classes):
        text(image, label[:20], 6, _TOP + i * _CELL + _CELL // 2 + 4)
        for j, share in enumerate(shares[i]):
            y, x = _TOP + i * _CELL, _LEFT + j * _CELL
            shade = (255 - share * np.array([75, 165, 235])).astype(int)
            image[y : y + _CELL - 1, x : x + _CELL - 1] = shade
            colour = INK if share < 0.6 else (255, 255, 255)
            if table[i, j]:
                text(image, str(table[i, j]), x + 12, y + _CELL // 2 + 4, 0.4, colour)
    image[_TOP + side :, _LEFT : _LEFT + side] = _upright(classes)
    return image


def _upright(classes: Sequence[str]) -> np.ndarray:
    """The names below the columns, to be read downwards."""
    strip = np.full((len(classes) * _CELL, _LEFT, 3), 255, np.uint8)
    for i, label in enumerate(reversed(classes)):
        text(strip, label[:20], 6, i * _CELL + _CELL // 2 + 4)
    return cv2.rotate(strip, cv2.ROTATE_90_CLOCKWISE)
