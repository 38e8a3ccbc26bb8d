"""Colour jitter: brightness, contrast, saturation and hue in one step.

Each is an affine map of B, G, R, the same for all pixels of a clip, and so are they together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.error import Error

_LUMA = np.array([0.114, 0.587, 0.299])  # of B, G, R (ITU-R BT.601)


class Jitter(NamedTuple):
    """By how much: factors for three of them, 1 for no change, and an angle for the hue."""

    brightness: float
    contrast: float
    saturation: float
    radians: float


def draw(param: Any, random: np.random.Generator) -> Jitter:
    """Factors are uniform in [max(0, 1 - v), 1 + v], the hue turns by up to v of the circle."""

    def factor(most: float) -> float:
        return float(random.uniform(max(0.0, 1 - most), 1 + most))

    return Jitter(
        brightness=factor(param.brightness),
        contrast=factor(param.contrast),
        saturation=factor(param.saturation),
        radians=float(random.uniform(-param.hue, param.hue)) * 2 * math.pi,
    )


def is_wanted(param: Any) -> bool:
    """Whether there is any jitter; raises Error for impossible values."""
    strengths = (param.brightness, param.contrast, param.saturation, param.hue)
    if min(strengths) < 0 or param.hue > 0.5:
        raise Error("brightness, contrast and saturation are 0 or more, hue is 0 to 0.5")
    if any(strengths) and param.use_flow:
        raise Error("flow has no colours: remove brightness, contrast, saturation and hue")
    return any(strengths)


def matrix(jitter: Jitter, grey: float) -> np.ndarray:
    """float64 (3, 4): B, G, R, 1 -> B, G, R.

    Brightness multiplies; contrast blends with the clip's mean grey (`grey`, before the jitter,
    0 to 255); saturation blends with each pixel's own grey; the hue turns around the axis of greys.
    """
    keep = np.eye(3)
    own_grey = np.tile(_LUMA, (3, 1))
    colour = jitter.saturation * keep + (1 - jitter.saturation) * own_grey
    turned = _turn(jitter.radians) @ colour
    scale = jitter.brightness * jitter.contrast
    offset = (1 - jitter.contrast) * jitter.brightness * grey
    return np.hstack([turned * scale, np.full((3, 1), offset)])


def apply(frames: Sequence[np.ndarray], jitter: Jitter) -> list[np.ndarray]:
    """uint8 frames (h, w, BGR) of a clip, changed alike, rounded and clipped to 0..255."""
    means = [cv2.mean(frame)[:3] for frame in frames]
    change = matrix(jitter, float(np.mean(means, axis=0) @ _LUMA))
    return [cv2.transform(frame, change) for frame in frames]


def _turn(radians: float) -> np.ndarray:
    """The rotation by an angle around (1, 1, 1), from red towards green."""
    c, s = math.cos(radians), -math.sin(radians) / math.sqrt(3)
    a = (1 - c) / 3
    return np.array([[c + a, a - s, a + s], [a + s, c + a, a - s], [a - s, a + s, c + a]])
