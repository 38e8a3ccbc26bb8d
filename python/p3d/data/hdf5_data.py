"""``type: "HDF5Data"``: rows of HDF5 files, for each top the dataset of its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from p3d.caffe.proto import caffe_pb2
from p3d.data.data_layer import DataLayer, check_batch, pack_state, unpack_state
from p3d.data.order import Order
from p3d.data.seeds import generator, new_seed
from p3d.data.share import of_this_process
from p3d.data.text_list import read_lines
from p3d.error import Error, NoMemory
from p3d.hdf5 import import_h5py


class HDF5Data(DataLayer):
    """`source` lists the files. Batches go on from one file to the next and from the last to the
    first; with shuffle the files and the rows of each come in another order in every epoch.

    Each rank takes its own rows (see share.py).
    """

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        if not top:
            raise Error("takes at least one top")
        if self.param.HasField("transform_param"):
            raise Error("HDF5Data does not transform data: remove transform_param")
        param = self.param.hdf5_data_param
        self._batch = check_batch(param)
        self._share = of_this_process(self.phase == caffe_pb2.TRAIN)
        self._files = [word for line in read_lines(param.source) for word in line.text.split()]
        self._go(Order(len(self._files), param.shuffle, new_seed()), 0, 0)
        for blob, values in zip(top, self._values, strict=True):
            blob.reshape(self._batch, *values.shape[1:])

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        views = [blob.data for blob in top]
        ranks = self._share.ranks
        done, count = 0, self._batch * ranks  # rows of all ranks, which take turns
        while done < count:
            if self._row >= len(self._rows):
                self._go(self._order, self._position + 1, 0)
            rows = self._rows[self._row : self._row + count - done]
            first = (self._share.rank - done) % ranks
            place, ours = (done + first) // ranks, rows[first::ranks]
            for view, values in zip(views, self._values, strict=True):
                view[place : place + len(ours)] = values[ours]
            done += len(rows)
            self._row += len(rows)

    def save_state(self) -> bytes:
        """Where the data goes on."""
        order = self._order
        place = {"position": self._position, "row": self._row}
        return pack_state(seed=order.seed, files=len(self._files), **place)

    def load_state(self, state: bytes) -> None:
        """Go on from there."""
        count = len(self._files)
        seed, position, row = unpack_state(state, "seed", "position", "row", files=count)
        self._go(Order(count, self._order.shuffle, seed), position, row)

    def _go(self, order: Order, position: int, row: int) -> None:
        """To a row of the file whose turn it is at a position."""
        epoch, file = order.turn(position)
        if position == 0 or len(self._files) > 1:
            self._values = self._load(self._files[file])
        self._order, self._position, self._row = order, position, row
        count = len(self._values[0])
        shuffled = generator(order.seed, epoch, file + 1).permutation(count)
        self._rows = shuffled if order.shuffle else np.arange(count)

    def _load(self, path: str) -> list[np.ndarray]:
        h5py = import_h5py(f"reading {path}")
        if not os.path.isfile(path):
            raise Error(f"{path}: there is no such file")
        try:
            with h5py.File(path, "r") as file:
                found = [self._read(path, file, name) for name in self.param.top]
        except MemoryError as error:
            raise NoMemory(f"{path}: {error}") from None
        except Error:
            raise
        except Exception as error:  # whatever h5py raises for a damaged file
            raise Error(f"{path}: not an HDF5 file that can be read ({error})") from None
        if len({len(values) for values in found}) > 1 or len(found[0]) == 0:
            counts = ", ".join(
                f"'{name}' {len(values)}"
                for name, values in zip(self.param.top, found, strict=True)
            )
            raise Error(f"{path}: all datasets need the same number of rows, one or more: {counts}")
        before = getattr(self, "_values", found)
        for name, values, others in zip(self.param.top, found, before, strict=True):
            if values.shape[1:] != others.shape[1:]:
                raise Error(
                    f"{path}: a row of '{name}' has the shape {values.shape[1:]}, in the files "
                    f"before it {others.shape[1:]}"
                )
        return found

    @staticmethod
    def _read(path: str, file: Any, name: str) -> np.ndarray:
        if name not in file or not hasattr(file[name], "ndim"):
            raise Error(
                f"{path}: has no dataset '{name}', the name of a top; it has "
                f"{', '.join(file) or 'none'}"
            )
        data = file[name]
        if data.dtype.kind not in "fiu" or data.ndim == 0:
            raise Error(f"{path}: '{name}' holds {data.dtype} of shape {data.shape}, not numbers")
        return np.asarray(data, np.float32)
