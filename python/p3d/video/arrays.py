"""Clips that somebody else made: arrays and .npy files that go into the net as they are."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from types import EllipsisType
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
        self._array = source if isinstance(source, np.ndarray) else NpyFile(self._name)
        found = self._array.shape
        kind = self._array.dtype.kind
        if found[-4:] != shape or len(found) > 5 or 0 in found or kind not in "fiu":
            raise Error(
                f"{self._name}: the net takes clips of numbers, (n, c, l, h, w) = (n, "
                f"{', '.join(map(str, shape))}), not {self._array.dtype} of shape {found}"
            )
        self._count = found[0] if len(found) == 5 else 1
        self._modality = "flow" if shape[0] == 2 else "frame"

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        odd = None
        single = len(self._array.shape) == 4
        clips = [self._array[...]] if single else (self._array[i] for i in range(self._count))
        for index, clip in enumerate(clips):
            odd = odd or check_input(clip, self._modality, f"{self._name}: the data")
            yield index, np.asarray(clip, np.float32)

    def record(self) -> dict[str, Any]:
        """What is known about the clips, ready for JSON."""
        known = {"modality": self._modality, "clips": self._count}
        return known if self._name == "array" else {"video": os.path.abspath(self._name), **known}


class NpyFile:
    """An array in a .npy file, of which only what is asked for is read."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with open(path, "rb") as file:
                version = np.lib.format.read_magic(file)
                later = np.lib.format.read_array_header_2_0
                header = np.lib.format.read_array_header_1_0 if version == (1, 0) else later
                self.shape, self._fortran, self.dtype = header(file)
                self._start = file.tell()
            if math.prod(self.shape) * self.dtype.itemsize > os.path.getsize(path) - self._start:
                raise ValueError(f"cut off: too short for {self.shape}")
        except (OSError, ValueError, EOFError) as error:
            raise Error(f"{path}: not an array of numbers in .npy format ({error})") from error

    def __getitem__(self, index: int | EllipsisType) -> np.ndarray:
        """Element `index` of the first axis, or everything (...)."""
        if self._fortran:
            with open(self._path, "rb") as file:
                return np.lib.format.read_array(file, allow_pickle=False)[index]
        shape, skipped = self.shape, 0
        if not isinstance(index, EllipsisType):
            shape = self.shape[1:]
            skipped = index * math.prod(shape) * self.dtype.itemsize
        count = math.prod(shape)
        values = np.fromfile(self._path, self.dtype, count, offset=self._start + skipped)
        if values.size != count:
            raise Error(f"{self._path}: was cut off while it was read")
        return values.reshape(shape)
