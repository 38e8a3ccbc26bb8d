"""Loss, scores and learning rate of trainings over their iterations, as one picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from p3d.error import Error
from p3d.showing.drawing import COLOURS, curve, save, text, text_width

_W, _H = 760, 220  # of a panel, pixels
_LEFT, _TOP, _BOTTOM = 70, 30, 22  # around its curves
_LETTERS = 0.38

Series = dict[str, list[tuple[int, float]]]


class Panel(NamedTuple):
    """A title and its curves by name; `is_rate` has a logarithmic axis."""

    title: str
    series: Series
    is_rate: bool = False


def panels(trainings: Mapping[str, Iterable[dict[str, Any]]]) -> list[Panel]:
    """Of the events of trainings by name, see p3d.training.record; panels without points are
    left out."""
    loss: Series = {}
    scores: Series = {}
    rate: Series = {}
    for name, events in trainings.items():
        before = f"{name} " if len(trainings) > 1 else ""
        for event in events:
            at = event["iter"]
            if event["event"] == "train":
                loss.setdefault(f"{before}train", []).append((at, event["loss"]))
                if "lr" in event:
                    rate.setdefault(f"{before}lr", []).append((at, event["lr"]))
                continue
            of = f"{before}test {event['net']}" if event.get("net") else f"{before}test"
            for output, values in event["outputs"].items():
                where = loss if "loss" in output.lower() else scores
                for index, value in enumerate(values):
                    part = f"[{index}]" if len(values) > 1 else ""
                    where.setdefault(f"{of} {output}{part}", []).append((at, value))
    all_of_them = [Panel("loss", loss), Panel("test", scores), Panel("learning rate", rate, True)]
    return [panel for panel in all_of_them if panel.series]


def write(trainings: Mapping[str, Iterable[dict[str, Any]]], path: str) -> int:
    """A .png (or another kind of image that OpenCV writes); returns the number of points."""
    found = panels(trainings)
    if not found:
        raise Error(f"{', '.join(trainings)}: has no line of a training: nothing to draw")
    points = [point for panel in found for series in panel.series.values() for point in series]
    last = max(at for at, _ in points)
    names = max(text_width(name, _LETTERS) for panel in found for name in panel.series)
    save(path, np.vstack([_draw(panel, last, max(150, names + 20)) for panel in found]))
    return len(points)


def _draw(panel: Panel, last: int, right: int) -> np.ndarray:
    """`last` is the iteration at the right end, `right` the room for names beyond it, in pixels."""
    image = np.full((_TOP + _H + _BOTTOM, _LEFT + _W + right, 3), 255, np.uint8)
    text(image, panel.title, _LEFT, 18, 0.5)
    values = np.array([v for series in panel.series.values() for _, v in series], float)
    low, high = _range(values, panel.is_rate)
    scale = np.log10 if panel.is_rate else np.asarray
    bottom, top = (float(scale(np.float64(edge))) for edge in (low, high))
    image[_TOP : _TOP + _H, _LEFT] = image[_TOP + _H, _LEFT : _LEFT + _W] = 120
    for share in (0.0, 0.5, 1.0):
        height = bottom + share * (top - bottom)
        value = 10**height if panel.is_rate else height
        text(image, f"{value:.3g}", 8, round(_TOP + _H * (1 - share)) + 4, _LETTERS)
        at = round(_LEFT + share * _W) - 8
        text(image, f"{round(share * last)}", at, _TOP + _H + 16, _LETTERS)
    for number, (name, series) in enumerate(panel.series.items()):
        colour = COLOURS[number % len(COLOURS)]
        at, value = np.array([p for p in series if np.isfinite(p[1])], float).reshape(-1, 2).T
        if panel.is_rate:
            at, value = at[value > 0], value[value > 0]
        xs = _LEFT + at / max(last, 1) * _W
        ys = _TOP + _H * (1 - (scale(value) - bottom) / (top - bottom))
        curve(image, xs, ys, colour)
        text(image, name, _LEFT + _W + 8, _TOP + 14 + 16 * number, _LETTERS, colour)
    return image


def _range(values: np.ndarray, is_rate: bool) -> tuple[float, float]:
    """The lowest and highest value to show, apart from each other."""
    values = values[np.isfinite(values) & ((values > 0) | (not is_rate))]
    if len(values) == 0:
        return 0.5, 1.0
    low, high = float(values.min()), float(values.max())
    if is_rate:
        return (low, high) if low < high else (low / 2, high * 2)
    return (min(low, 0.0), high if high > min(low, 0.0) else low + 1)
