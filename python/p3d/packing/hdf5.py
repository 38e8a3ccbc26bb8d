"""One HDF5 file: a group per video, a dataset per blob.

    with h5py.File("features.h5") as file:
        file["some/video"]["pool5"]  # (clips, 2048)

A group's attributes are the video's name, and "meta", all that BASE.json says. Code for C3D's
features of ActivityNet finds what it expects under --dataset c3d_features.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from p3d.atomic import replacing
from p3d.error import Error
from p3d.hdf5 import import_h5py
from p3d.packing.stored import Stored, utf8

if TYPE_CHECKING:
    from p3d.packing import Options


def write(results: Iterable[Stored], path: str, options: Options) -> int:
    h5py = import_h5py(f"{path}:")
    count = 0
    with replacing(path, "w+b") as whole, h5py.File(whole, "w") as file:
        for result in results:
            count += 1
            if result.name in file:
                raise Error(f"{path}: two results are called {result.name}")
            group = file.create_group(result.name)
            group.attrs["video"] = utf8(str(result.meta.get("video")))
            group.attrs["meta"] = json.dumps(result.meta)
            arrays = result.arrays()
            if options.dataset and len(arrays) > 1:
                raise Error(f"--dataset {options.dataset} names one blob, not {', '.join(arrays)}")
            for blob, array in arrays.items():
                group.create_dataset(options.dataset or blob, data=array)
    return count
