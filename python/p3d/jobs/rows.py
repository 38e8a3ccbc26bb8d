"""A .npy file that grows row by row, so that memory does not grow with the number of rows."""

from __future__ import annotations

import os
import shutil
import zlib
from typing import IO

import numpy as np

from p3d.atomic import NewFile
from p3d.error import Error

_HEADER = 256  # bytes; the shape is known, and filled in, at the end


class RowFile:
    """Rows of one shape and type in `new`, the file in the making that will be `path`."""

    def __init__(self, path: str) -> None:
        self.new = NewFile(path, "w+b")
        self._row: np.ndarray | None = None
        self.count = 0

    def add(self, row: np.ndarray) -> None:
        """Appends a row."""
        if self._row is None:
            self.new.file.write(bytes(_HEADER))
            self._row = np.empty_like(row)
        if (row.shape, row.dtype) != (self._row.shape, self._row.dtype):
            raise Error(
                f"a row has shape {row.shape}, the ones before it {self._row.shape}: frames change "
                "their size within the video"
            )
        self.new.file.write(np.ascontiguousarray(row).data.cast("B") if row.size else b"")
        self.count += 1

    def restart(self) -> None:
        """Forgets all rows."""
        self.new.file.seek(0)
        self.new.file.truncate()
        self._row, self.count = None, 0

    def finish(self, axes: tuple[int, ...]) -> tuple[int, ...]:
        """Completes the array as (*axes, *row) and returns this shape."""
        assert self._row is not None
        shape = (*axes, *self._row.shape)
        text = repr({"descr": self._row.dtype.str, "fortran_order": False, "shape": shape})
        start = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")
        self.new.file.seek(0)
        self.new.file.write(start + text.encode().ljust(_HEADER - 11) + b"\n")
        self.new.file.flush()
        return shape

    def copy_to(self, file: IO[bytes]) -> None:
        """Appends the finished file to another."""
        self.new.file.seek(0)
        shutil.copyfileobj(self.new.file, file, 1 << 20)

    def abandon(self) -> None:
        self.new.abandon()


def checksum(file: IO[bytes]) -> dict[str, int]:
    """Size in bytes and CRC-32 of a file."""
    crc = 0
    file.seek(0)
    while block := file.read(1 << 20):
        crc = zlib.crc32(block, crc)
    return {"bytes": file.seek(0, os.SEEK_END), "crc32": crc}
