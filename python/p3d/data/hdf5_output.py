"""``type: "HDF5Output"``: writes its two bottoms to an HDF5 file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p3d.data.data_layer import DataLayer
from p3d.error import Error
from p3d.hdf5 import import_h5py


class HDF5Output(DataLayer):
    """The datasets "data" and "label"; every forward adds its rows to them.

    An existing file is replaced. It is closed between forwards, so that it can be read.
    """

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        self._path = self.param.hdf5_output_param.file_name
        if len(bottom) != 2 or top or not self._path:
            raise Error("takes two bottoms, data and label, no top, and a file_name")
        self._open("w").close()

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        rows = [len(blob.data) for blob in bottom]
        if rows[0] != rows[1]:
            raise Error(f"data has {rows[0]} rows and label {rows[1]}; they belong together")
        with self._open("a") as file:
            for name, blob in zip(("data", "label"), bottom, strict=True):
                self._append(file, name, blob.data)

    def _open(self, mode: str) -> Any:
        h5py = import_h5py(f"writing {self._path}")
        try:
            return h5py.File(self._path, mode)
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
