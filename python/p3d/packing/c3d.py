"""Binary files as C3D's feature extractor writes them: FOLDER/<video>/<first frame>.<blob>.

Each is five int32, (num, channels, length, height, width) = (1, c, l, h, w), and the values as
float32, all little-endian. First frames have six digits and count from 1, as there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from p3d.atomic import replacing
from p3d.error import Error
from p3d.packing.stored import Stored

if TYPE_CHECKING:
    from p3d.packing import Options


def write(results: Iterable[Stored], path: str, options: Options) -> int:
    count = 0
    for result in results:
        count += 1
        starts = result.meta.get("starts")
        if starts is None or result.meta.get("output", {}).get("pool", "keep") != "keep":
            raise Error(f"{result.base}: has no row per clip, which this layout has a file for")
        folder = os.path.join(path, result.name)
        os.makedirs(folder, exist_ok=True)
        for blob, array in result.arrays().items():
            for start, row in zip(starts, array, strict=True):
                with replacing(os.path.join(folder, f"{start + 1:06d}.{blob}")) as file:
                    file.write(_header(result, blob, row))
                    file.write(row.astype("<f4").tobytes())
    return count


def _header(result: Stored, blob: str, row: np.ndarray) -> bytes:
    if row.ndim > 4:
        raise Error(f"{result.base}: a row of {blob} has {row.ndim} axes; this layout has four")
    shape = [1] * 5
    if row.ndim:
        shape[1] = row.shape[0]
        shape[5 - (row.ndim - 1) :] = row.shape[1:]
    return np.array(shape, "<i4").tobytes()
