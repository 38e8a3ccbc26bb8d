"""What data layers subtract: mean_value or mean_file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from p3d.caffe.blob_io import read_blobproto
from p3d.error import Error


def read_mean(param: Any, channels: int, places: int) -> np.ndarray | None:
    """The mean that a message with mean_value and mean_file states, float32 (channels, ...), None
    where it states none: one value per channel, with 1 for each of the `places` axes that follow,
    or the array in the file, whose leading axes of size 1 are left out. A clip's (three places) may
    be that of all its frames, (channels, h, w).
    """
    values: Sequence[float] = param.mean_value
    if param.mean_file and values:
        raise Error("gives both mean_file and mean_value; keep one")
    if param.mean_file:
        return _from_file(param.mean_file, channels, places)
    if not values:
        return None
    if len(values) not in (1, channels):
        raise Error(
            f"gives {len(values)} values of mean_value for {channels} channels: one for all or one "
            "for each"
        )
    each = np.asarray([*values] * (channels if len(values) == 1 else 1), np.float32)
    return each.reshape(channels, *[1] * places)


def _from_file(path: str, channels: int, places: int) -> np.ndarray:
    mean = read_blobproto(path, f"mean_file {path}", "mean").astype(np.float32)
    while mean.ndim > 3 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim == 3 == places:
        mean = mean[:, None]
    if mean.ndim != places + 1 or mean.shape[0] != channels:
        raise Error(f"mean_file {path} has the shape {mean.shape}; it needs {channels} channels")
    return mean
