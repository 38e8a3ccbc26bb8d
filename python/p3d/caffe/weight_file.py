"""Weight files for reading: a list of layers with the shapes of their blobs, then the values.

with open_weights("p3d.caffemodel") as file:      # or .caffemodel.h5; the content decides
    for i, (name, type, shapes) in enumerate(file.layers):
        for j in range(len(shapes)):
            array = file.read(i, j)

Opening walks the file once and raises Error if it is not what it should be.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from p3d._core import CaffemodelReader
from p3d.error import Error
from p3d.hdf5 import import_h5py

Shape = tuple[int, ...]

# Weights hardly compress; small files of zeros may.
_MOST_COMPRESSED = 20
_SMALL = 512 << 20

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


class WeightFile(Protocol):
    """What CaffemodelFile and Hdf5File have in common."""

    path: str
    format: str

    @property
    def layers(self) -> Sequence[tuple[str, str, Sequence[Shape | None]]]:
        """(name, type, shapes) in the order of the file; the type is "" where the file has none.

        A blob that the file does not store because another layer owns it has the shape None.
        """

    def __enter__(self) -> WeightFile: ...

    def __exit__(self, *error: object) -> None: ...

    def is_legacy(self, layer: int, blob: int) -> bool:
        """Whether the shape is stored as (num, channels, height, width), padded with 1."""

    def check(self, layer: int, blob: int) -> None:
        """Raises Error unless the values are there and fill the shape."""

    def read(self, layer: int, blob: int) -> np.ndarray:
        """The values, float32."""

    def reading(self, layer: int, blob: int) -> Callable[[Any], None]:
        """A function that copies the values to a blob: an object with writable `data`."""


def open_weights(path: str | os.PathLike[str]) -> WeightFile:
    """The weights in a .caffemodel (of any generation) or .caffemodel.h5 file."""
    name = os.fspath(path)
    # Whatever is no readable file, the reader of caffemodels puts into words.
    is_hdf5 = Path(name).is_file() and _starts_with(name, HDF5_MAGIC)
    return Hdf5File(name) if is_hdf5 else CaffemodelFile(name)


def _starts_with(path: str, magic: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


class CaffemodelFile:
    """A .caffemodel: see CaffemodelReader."""

    format = "caffemodel"

    def __init__(self, path: str) -> None:
        self.path = path
        self._reader = CaffemodelReader(path)
        self.layers = self._reader.layers
        self.name: str = self._reader.name

    def __enter__(self) -> CaffemodelFile:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def is_legacy(self, layer: int, blob: int) -> bool:
        return self._reader.is_legacy(layer, blob)

    def check(self, layer: int, blob: int) -> None:
        self._reader.check(layer, blob)

    def read(self, layer: int, blob: int) -> np.ndarray:
        return self._reader.read(layer, blob)

    def reading(self, layer: int, blob: int) -> Callable[[Any], None]:
        return lambda target: self._copy(layer, blob, target)

    def _copy(self, layer: int, blob: int, target: Any) -> None:
        if hasattr(target, "read_from"):  # the engine's blobs: no view, no copy
            target.read_from(self._reader, layer, blob)
            return
        data = target.data
        if data.dtype == np.float32 and data.flags.c_contiguous:
            self._reader.read_into(layer, blob, data)
        else:
            data[...] = self.read(layer, blob).reshape(data.shape)


class Hdf5File:
    """A .caffemodel.h5 as Caffe writes it: the dataset data/<layer>/<index> for each blob."""

    format = "HDF5"

    def __init__(self, path: str) -> None:
        self.path = path
        h5py = import_h5py(f"reading {path}")
        with self._wording():
            self._file = h5py.File(path, "r")
        with self._wording():
            self._blobs = self._index(h5py)
        self.layers = [(name, "", self._shapes(blobs)) for name, blobs in self._blobs]

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def is_legacy(self, layer: int, blob: int) -> bool:
        return False

    def check(self, layer: int, blob: int) -> None:
        name, blobs = self._blobs[layer]
        if blobs[blob].dtype.kind not in "fiu":
            raise Error(
                f"file {self.path}, layer '{name}', blob {blob} holds {blobs[blob].dtype}, "
                "not numbers; save the weights again with the program that made them"
            )

    def read(self, layer: int, blob: int) -> np.ndarray:
        self.check(layer, blob)
        dataset = self._blobs[layer][1][blob]
        with self._wording():
            return np.asarray(dataset[()], dtype=np.float32)

    def reading(self, layer: int, blob: int) -> Callable[[Any], None]:
        # Read now: compressed data shows only while it is read that it is damaged.
        values = self.read(layer, blob)
        return lambda target: _assign(target, values)

    def _index(self, h5py: ModuleType) -> list[tuple[str, dict[int, Any]]]:
        data = self._file.get("data")
        if not isinstance(data, h5py.Group):
            raise Error(f"file {self.path} {_describe_hdf5(set(self._file))}")
        layers: dict[str, dict[int, Any]] = {}

        # Visits every object once, whatever links a file may have, and follows none outside.
        def visit(name: str, item: Any) -> None:
            layer, _, index = name.rpartition("/")
            if isinstance(item, h5py.Group):
                layers.setdefault(name, {})
            elif (
                isinstance(item, h5py.Dataset) and layer and re.fullmatch(r"0|[1-9]\d{0,5}", index)
            ):
                layers.setdefault(layer, {})[int(index)] = item

        data.visititems(visit)
        self._check_size(item for blobs in layers.values() for item in blobs.values())
        # A layer "a/b" lies in a group "a", which is not a layer for that.
        parents = {name.rpartition("/")[0] for name in layers}
        return [(name, blobs) for name, blobs in layers.items() if blobs or name not in parents]

    def _check_size(self, datasets: Iterable[Any]) -> None:
        """HDF5 can promise any number of values that are compressed or were never written."""
        values = sum(math.prod(dataset.shape or ()) for dataset in datasets)
        stored = os.path.getsize(self.path)
        if 4 * values > _MOST_COMPRESSED * stored + _SMALL:
            raise Error(
                f"file {self.path} promises {values} values in {stored} bytes, more than weights "
                "can be compressed: it is damaged, or made to fill the memory"
            )

    @staticmethod
    def _shapes(blobs: dict[int, Any]) -> list[Shape | None]:
        return [blobs[j].shape if j in blobs else None for j in range(max(blobs, default=-1) + 1)]

    @contextmanager
    def _wording(self) -> Iterator[None]:
        """h5py's exceptions, of many types, as one Error that names the file."""
        try:
            yield
        except Error:
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise Error(
                f"file {self.path} is damaged or cut short (HDF5: {' '.join(str(error).split())}); "
                "download or copy it again"
            ) from error


def _describe_hdf5(groups: set[str]) -> str:
    if "learned_net" in groups:
        return (
            "is a solverstate (the momentum of a training run): give the .caffemodel.h5 that "
            "lies beside it"
        )
    return (
        "is HDF5 but has no group 'data' as Caffe's weights do; it has "
        f"{sorted(groups)[:8] or 'nothing at all'}"
    )


def _assign(target: Any, values: np.ndarray) -> None:
    if hasattr(target, "assign"):  # the engine's blobs: no view, no filler that runs first
        target.assign(values)
    else:
        target.data[...] = values.reshape(target.shape)
