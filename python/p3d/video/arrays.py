"""Clips that somebody else made: arrays and .npy files that go into the net as they are."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from p3d.error import Error
from p3d.input_check import check_input


class ClipArray:
    """Iterates over (index, clip) of an array (c, l, h, w) or (n, c, l, h, w), as ClipReader does.

    The numbers are the net's input: mean subtracted, nothing else done to them. Those that do not
    look like it are used, with an InputWarning.
    """

    def __init__(
        self, source: np.ndarray | str | os.PathLike[str], shape: tuple[int, int, int, int]
    ) -> None:
        """`shape` is what the net takes, (c, l, h, w)."""
        self._name = "array" if isinstance(source, np.ndarray) else os.fspath(source)
        array = source if isinstance(source, np.ndarray) else _load(self._name)
        if (
            array.shape[-4:] != shape
            or array.ndim > 5
            or not array.size
            or array.dtype.kind not in "fiu"
        ):
            raise Error(
                f"{self._name}: the net takes clips of numbers, (n, c, l, h, w) = (n, "
                f"{', '.join(map(str, shape))}), not {array.dtype} of shape {array.shape}"
            )
        self._clips = array if array.ndim == 5 else array[np.newaxis]
        self._modality = "flow" if shape[0] == 2 else "frame"

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        odd = None
        for index, clip in enumerate(self._clips):
            odd = odd or check_input(clip, self._modality)
            yield index, np.asarray(clip, np.float32)

    def record(self) -> dict[str, Any]:
        """What is known about the clips, ready for JSON."""
        known = {"modality": self._modality, "clips": len(self._clips)}
        return known if self._name == "array" else {"video": os.path.abspath(self._name), **known}


def _load(path: str) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            later = np.lib.format.read_array_header_2_0
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else later
            shape, _, dtype = header(file)
            if math.prod(shape) * dtype.itemsize > os.path.getsize(path):
                raise ValueError(f"cut off: too short for {shape}")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Error(f"{path}: not an array of numbers in .npy format ({error})") from error
