"""Drawn videos of eight motions, four pairs of which each is the other one backwards in time.

Nothing but the order of the frames tells the two motions of a pair apart: a video is a scene, drawn
forwards, and for every second class played backwards. Training and test have other seeds, shapes
and backgrounds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from p3d.atomic import replacing
from p3d.video.write import write_video

#: Pairs of twins side by side: class 2 k + 1 is class 2 k backwards.
CLASSES = (
    *("right", "left"),
    *("down", "up"),
    *("grow", "shrink"),
    *("clockwise", "counter-clockwise"),
)
HEIGHT, WIDTH, FRAMES = 72, 96, 24

Polygon = np.ndarray  # (corners, 2), within the unit circle


@dataclass(frozen=True)
class Look:
    """What scenes are made of: outlines and a painter of backgrounds."""

    shapes: tuple[Polygon, ...]
    background: Callable[[np.random.Generator], np.ndarray]


def write(folder: str, split: str, per_class: int) -> str:
    """Writes videos and the list of them, `split`.txt ("train" or "test"); returns its path.

    The lines are `split/right-0.mp4 0`, relative to `folder`. Both twins of a pair show the same
    scenes in the test, so that a net without a sense of time is right for one of two.
    """
    os.makedirs(os.path.join(folder, split), exist_ok=True)
    lines = []
    for label, name in enumerate(CLASSES):
        for index in range(per_class):
            scene = label // 2 if split == "test" else label
            rng = np.random.default_rng([split == "test", scene, index])
            frames = draw(label, rng, LOOKS[split])
            path = write_video(os.path.join(folder, split, f"{name}-{index}"), frames)
            lines.append(f"{os.path.relpath(path, folder)} {label}\n")
    path = os.path.join(folder, f"{split}.txt")
    with replacing(path, "w") as file:
        file.writelines(lines)
    return path


def draw(label: int, rng: np.random.Generator, look: Look) -> list[np.ndarray]:
    """The `FRAMES` images, `HEIGHT` x `WIDTH` B G R, of one scene of a class."""
    shape = look.shapes[rng.integers(len(look.shapes))]
    background = look.background(rng)
    colour = _contrast(rng, background)
    move = _MOVES[label // 2](rng)
    times = np.linspace(-1, 1, FRAMES)
    frames = [_place(background, shape, colour, move(time)) for time in times]
    return frames[::-1] if label % 2 else frames


# ---------------------------------------------------------------- motions

# Time runs from -1 to 1; a state is centre x, y, radius and turn in pixels and radians.
State = tuple[float, float, float, float]
Move = Callable[[float], State]


def _across(rng: np.random.Generator) -> Move:
    reach, aside, radius, turn = _free(rng)
    return lambda time: (WIDTH / 2 + reach * time, HEIGHT / 2 + aside, radius, turn)


def _along(rng: np.random.Generator) -> Move:
    reach, aside, radius, turn = _free(rng)
    return lambda time: (WIDTH / 2 + aside, HEIGHT / 2 + reach * time, radius, turn)


def _growing(rng: np.random.Generator) -> Move:
    x, y = _near_the_middle(rng, 8)
    middle, change, turn = rng.uniform(10, 13), rng.uniform(5, 8), rng.uniform(0, 2 * np.pi)
    return lambda time: (x, y, middle + change * time, turn)


def _round(rng: np.random.Generator) -> Move:
    _, _, radius, turn = _free(rng)
    x, y = _near_the_middle(rng, 3)
    way, start, angle = (
        rng.uniform(15, 19),
        rng.uniform(0, 2 * np.pi),
        rng.uniform(0.7, 1.0) * np.pi,
    )
    return lambda time: (
        x + way * np.cos(start + angle * time),
        y + way * np.sin(start + angle * time),
        radius,
        turn,
    )


def _free(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """How far to both sides, how far off the middle, radius, turn."""
    reach, aside, radius = rng.uniform(20, 28), rng.uniform(-12, 12), rng.uniform(7, 11)
    return reach, aside, radius, rng.uniform(0, 2 * np.pi)


def _near_the_middle(rng: np.random.Generator, most: float) -> tuple[float, float]:
    x, y = rng.uniform(-most, most, 2)
    return WIDTH / 2 + x, HEIGHT / 2 + y


_MOVES = (_across, _along, _growing, _round)


# ---------------------------------------------------------------- looks


def _contrast(rng: np.random.Generator, background: np.ndarray) -> np.ndarray:
    """A colour that is far from the mean of the background."""
    mean = background.mean(axis=(0, 1))
    while True:
        colour = rng.uniform(0, 255, 3)
        if np.abs(colour - mean).max() > 100:
            return colour


def _place(background: np.ndarray, shape: Polygon, colour: np.ndarray, state: State) -> np.ndarray:
    x, y, radius, angle = state
    cos, sin = np.cos(angle), np.sin(angle)
    turned = shape @ np.array([[cos, sin], [-sin, cos]])
    image = background.copy()
    corners = np.round((turned * radius + (x, y)) * 16).astype(np.int32)
    cv2.fillPoly(image, [corners], colour.tolist(), cv2.LINE_AA, shift=4)
    return image


def _star(corners: int, depth: float) -> Polygon:
    """A regular polygon (depth 1), or a star whose notches are at `depth` of the radius."""
    count = corners if depth == 1 else 2 * corners
    angles = 2 * np.pi * np.arange(count) / count
    radii = np.where(np.arange(count) % 2, depth, 1.0)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


def _clouds(rng: np.random.Generator) -> np.ndarray:
    small = (rng.uniform(90, 165, 3) + rng.uniform(-30, 30, (4, 4, 3))).astype(np.float32)
    return (
        cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype("u1")
    )


def _slope(rng: np.random.Generator) -> np.ndarray:
    """From one colour to another, with a few bars."""
    first = rng.uniform(90, 165, 3)
    last = first + rng.uniform(-40, 40, 3)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:HEIGHT, :WIDTH] / WIDTH - 0.5
    along = x * np.cos(angle) + y * np.sin(angle)
    share = 0.5 + 0.6 * along + 0.1 * np.sign(np.sin(2 * np.pi * rng.uniform(2, 4) * along))
    return (first + (last - first) * share[..., None]).clip(0, 255).astype("u1")


LOOKS = {
    "train": Look((_star(3, 1), _star(4, 1), _star(24, 1), _star(4, 0.4)), _clouds),
    "test": Look((_star(5, 1), _star(6, 1), _star(5, 0.5), _star(3, 0.4)), _slope),
}
