"""``type: "HDF5Output"``: writes its two bottoms to an HDF5 file."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

from p3d.atomic import replacing, writing
from p3d.data.data_layer import DataLayer
from p3d.error import Error
from p3d.hdf5 import import_h5py


class HDF5Output(DataLayer):
    """The datasets "data" and "label" of at least four axes; every forward adds its rows to them.

    An existing file is replaced. It is closed between forwards, so that it can be read.
    """

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        self._path = self.param.hdf5_output_param.file_name
        if len(bottom) != 2 or top or not self._path:
            raise Error("takes two bottoms, data and label, no top, and a file_name")
        self._h5py = import_h5py(f"writing {self._path}")
        empty = io.BytesIO()
        self._h5py.File(empty, "w").close()
        with replacing(self._path) as file:
            file.write(empty.getvalue())

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        # Fewer axes are followed by some of size 1, as in Caffe.
        values = [blob.data.reshape(*blob.shape, *[1] * (4 - len(blob.shape))) for blob in bottom]
        rows = [len(array) for array in values]
        if rows[0] != rows[1]:
            raise Error(f"data has {rows[0]} rows and label {rows[1]}; they belong together")
        _reserve(self._path, sum(array.nbytes for array in values))
        try:
            with self._h5py.File(self._path, "a") as file:
                for name, array in zip(("data", "label"), values, strict=True):
                    self._append(file, name, array)
        except OSError as error:
            raise Error(f"{self._path}: cannot be written ({error})") from None

    @staticmethod
    def _append(file: Any, name: str, values: Any) -> None:
        if name not in file:
            file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]))
            return
        count = len(file[name])
        file[name].resize(count + len(values), axis=0)
        file[name][count:] = values


def _reserve(path: str, more: int) -> None:
    """Has room for `more` bytes of values, as they become chunks, at the end of the file: HDF5 cuts
    off what is left when it closes it, and may crash where a disk is full. Raises DiskFull."""
    if not hasattr(os, "posix_fallocate") or not os.path.isfile(path):
        return
    with open(path, "r+b") as file, writing(path):
        size = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), size, 4 * more + (1 << 20))
        except OSError:
            file.truncate(size)
            raise
