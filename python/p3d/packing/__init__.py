"""Results of `p3d extract` in the layouts that other people's code reads.

stored  results on disk, one after the other
hdf5    one HDF5 file, a group per video
c3d     binary files as C3D's feature extractor writes them, one per clip
scores  classes of every video, as .csv or .json

To add a layout, write a module with `write(results, path, options)` and an entry of LAYOUTS.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace

from p3d.error import Error
from p3d.packing.stored import Stored, utf8

LAYOUTS = {"hdf5": "hdf5", "c3d": "c3d", "csv": "scores", "json": "scores"}
"""Layout -> module."""

_BY_SUFFIX = {".h5": "hdf5", ".hdf5": "hdf5", ".csv": "csv", ".json": "json"}


@dataclass(frozen=True)
class Options:
    """How to write.

    layout   one of LAYOUTS
    dataset  what to call the blob in HDF5
    labels   class names, and `top` how many of them
    """

    layout: str = ""
    dataset: str | None = None
    labels: list[str] | None = None
    top: int = 5


def pack(results: Iterable[Stored], path: str, options: Options) -> int:
    """Writes the results to `path`; returns how many. A layout of "" is told from the suffix."""
    layout = options.layout or _BY_SUFFIX.get(os.path.splitext(path)[1].lower(), "")
    if layout not in LAYOUTS:
        raise Error(
            f"{path}: what is this to be? Name it .h5, .csv or .json, or choose --as "
            f"{', '.join(LAYOUTS)}"
        )
    if options.top < 1:
        raise Error(f"{options.top} classes of each video make no table: take 1 or more")
    if layout != "c3d":  # whose names are names of files again
        results = (_in_utf8(result, path) for result in results)
    module = importlib.import_module(f"{__name__}.{LAYOUTS[layout]}")
    written: int = module.write(results, path, replace(options, layout=layout))
    if written == 0:
        raise Error("there are no results there: name the folder that `p3d extract` wrote to")
    return written


def _in_utf8(result: Stored, path: str) -> Stored:
    name = utf8(result.name)
    if name != result.name:
        base = utf8(result.base)
        warnings.warn(f"{base}: no name in UTF-8, {path} has it as {name}", stacklevel=2)
    return result._replace(name=name)
