"""Weights outside of nets, for the tests of weight files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

GOLDEN = Path(__file__).parent / "golden"
TINY = GOLDEN / "tiny/tiny_seeded.caffemodel"
TINY_H5 = GOLDEN / "tiny/tiny_seeded.caffemodel.h5"


@dataclass
class Blob:
    data: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape


def blob(*shape: int, dtype: str = "f4") -> Blob:
    return Blob(np.full(shape, -1, dtype))


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype="f4").reshape(shape)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def write_h5(path: Path, datasets: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values)
    return path


def golden_params() -> dict[str, list[np.ndarray]]:
    params: dict[str, list[np.ndarray]] = {}
    with np.load(GOLDEN / "tiny/tiny_test.npz") as arrays:
        for key in arrays:
            if key.startswith("param/"):
                params.setdefault(key.split("/")[1], []).append(arrays[key])
    return params
