"""Does an array look like what the nets were trained on?"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

_CURE = {
    "frame": (
        "the nets want B, G, R (as cv2 reads) in 0..255, minus 104, 117, 123, and no division: "
        "x = frame_bgr.astype('float32') - (104, 117, 123)"
    ),
    "flow": "the nets want x and y flow images in 0..255 minus 128, and no division",
}


log = logging.getLogger("p3d")
_told = ContextVar("_told", default=False)


class InputWarning(UserWarning):
    """Numbers that a net can compute with, but was not trained on."""


def check_input(
    data: np.ndarray, modality: str | None = None, name: str = "the data"
) -> str | None:
    """Warns (InputWarning) if net input looks scaled to 0..1, normalised, or not mean-subtracted.

    `data` is (n, c, l, h, w) or one clip (c, l, h, w), as it would be put into the blob "data";
    `modality` is "frame" or "flow", by default told from c; `name` is what the warning calls it.
    Returns the text of the warning, or None. Such input is the most frequent cause of wrong or
    constant classes; swapped channels (R, G, B) cannot be seen in the numbers.
    """
    text = _complaint(data, modality, name)
    if text is not None:
        warnings.warn(text, InputWarning, stacklevel=2)
    return text


def log_odd_input(net: Any) -> None:
    """The same for a net (pycaffe's interface) of the P3D family, as a line in the log."""
    if _told.get() or "P3D" not in net.name.upper():
        return  # other families were trained on other numbers
    for name in net.inputs:
        if len(net.blobs[name].shape) == 5:
            text = _complaint(net.blobs[name].data)
            if text is not None:
                log.warning("net '%s', blob '%s': %s", net.name, name, text)


@contextlib.contextmanager
def input_told() -> Iterator[None]:
    """Inside, nets log nothing about their input: what is odd about it was said of the file."""
    before = _told.set(True)
    try:
        yield
    finally:
        _told.reset(before)


def _complaint(data: np.ndarray, modality: str | None = None, name: str = "the data") -> str | None:
    if data.ndim not in (4, 5) or data.size == 0:
        return None
    found = _oddity(float(data.min()), float(data.max()))
    modality = modality or ("flow" if data.shape[-4] == 2 else "frame")
    return found and f"{name} {found}; {_CURE[modality]}"


def _oddity(low: float, high: float) -> str | None:
    if not (np.isfinite(low) and np.isfinite(high)):
        return "has values that are not finite"
    if low == high:
        return None
    between = f"is between {low:.4g} and {high:.4g}"
    if max(-low, high) <= 10:
        what = "scaled to 0..1" if low >= 0 else "scaled or normalised to standard deviation 1"
        return f"{between}: it looks {what}"
    if low >= 0:
        return f"{between}: it looks as if no mean was subtracted"
    return None
