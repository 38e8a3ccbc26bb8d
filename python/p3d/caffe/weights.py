"""Weights into a net and out of it, by Caffe's rules.

load(params, path)             takes the values for layers of the same name
save(net, params, path)        writes a .caffemodel that Caffe reads
save_hdf5(net, params, path)   the same as .caffemodel.h5

`params` maps names of layers to their blobs: objects with a `shape` and writable `data`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from p3d.error import Error

from .weight_file import Shape, WeightFile, open_weights
from .weight_writer import save, save_hdf5, shared_params

__all__ = ["Loaded", "load", "open_weights", "save", "save_hdf5", "shared_params"]

Params = Mapping[str, Sequence[Any]]

log = logging.getLogger("p3d")

# Why blobs of different shapes hold the same values in the same order.
_OLD_AXES = "four old axes"
_CHANNELS = "one value per channel"
_FLAT_KERNEL = "2-D kernels are 3-D kernels of length 1"


class Loaded(NamedTuple):
    """Names of layers."""

    loaded: list[str]
    ignored: list[str]  # in the file, not in the net
    kept: list[str]  # in the net, not in the file: they keep their values


class _Copy(NamedTuple):
    layer: int
    blob: int
    name: str
    target: Any
    rule: str | None  # None where the shapes are equal
    stored: Shape
    wanted: Shape


def load(
    params: Params,
    path: str | os.PathLike[str],
    shared: Collection[tuple[str, int]] = (),
) -> Loaded:
    """Copies the weights in a .caffemodel or .caffemodel.h5 file into layers of the same name.

    Layers that only one side has are left alone. For the others the number of blobs and their
    shapes must agree, as in Caffe: exactly, or up to leading axes of 1 where an old file stores
    four axes. Beyond Caffe, blobs of one value per channel may be (C), (1, C), (1, C, 1, 1), and
    a 2-D kernel (O, I, h, w) is the 3-D kernel (O, I, 1, h, w) of length 1; the log says so. A
    name that occurs twice in the file counts twice, the last one wins.

    Everything is checked before the first value is written. `shared` names blobs (layer, index)
    that belong to another layer of the net: HDF5 files store them only there.
    """
    with open_weights(path) as file:
        copies: list[_Copy] = []
        for index, (name, _, _) in enumerate(file.layers):
            if name in params:
                copies += _match_layer(file, index, params[name], shared)
        readings = [file.reading(copy.layer, copy.blob) for copy in copies]
        for copy, read_into in zip(copies, readings, strict=True):
            read_into(copy.target)
        names = dict.fromkeys(name for name, _, shapes in file.layers if shapes)
    loaded = Loaded(
        loaded=[name for name in names if name in params],
        ignored=[name for name in names if name not in params],
        kept=[name for name, blobs in params.items() if blobs and name not in names],
    )
    _report(os.fspath(path), loaded, copies)
    return loaded


def _match_layer(
    file: WeightFile, index: int, targets: Sequence[Any], shared: Collection[tuple[str, int]]
) -> list[_Copy]:
    name, type_, shapes = file.layers[index]
    absent = [j for j in range(len(targets)) if j >= len(shapes) or shapes[j] is None]
    excused = file.format == "HDF5" and all((name, j) in shared for j in absent)
    if len(shapes) > len(targets) or (absent and not excused):
        raise Error(_wrong_number(file, index, type_, targets))
    copies = []
    for j, shape in enumerate(shapes):
        if shape is None:
            continue
        wanted = tuple(int(axis) for axis in targets[j].shape)
        rule = None
        if shape != wanted:
            rule = _rule(shape, wanted, file.is_legacy(index, j))
            if rule is None:
                raise Error(_wrong_shape(file, name, j, shape, wanted))
        file.check(index, j)
        copies.append(_Copy(index, j, name, targets[j], rule, shape, wanted))
    return copies


def _rule(stored: Shape, wanted: Shape, legacy: bool) -> str | None:
    """Why two different shapes mean the same values in the same order; None if they do not."""
    if legacy and stored == (1,) * (4 - len(wanted)) + wanted:
        return _OLD_AXES
    if _channels(stored) is not None and _channels(stored) == _channels(wanted):
        return _CHANNELS
    if {len(stored), len(wanted)} == {4, 5} and _flat(stored) == _flat(wanted):
        return _FLAT_KERNEL
    return None


def _channels(shape: Shape) -> int | None:
    """C of (C), (1, C), (1, C, 1, 1), (1, C, 1, 1, 1)."""
    if len(shape) == 1:
        return shape[0]
    is_channels = len(shape) > 1 and shape[0] == 1 and all(axis == 1 for axis in shape[2:])
    return shape[1] if is_channels else None


def _flat(shape: Shape) -> Shape:
    return shape[:2] + shape[3:] if len(shape) == 5 and shape[2] == 1 else shape


def _wrong_number(file: WeightFile, index: int, type_: str, targets: Sequence[Any]) -> str:
    name, _, shapes = file.layers[index]
    stored = " ".join(str(shape or "missing") for shape in shapes) or "none"
    wanted = " ".join(str(tuple(blob.shape)) for blob in targets) or "none"
    kind = f" ({type_})" if type_ else ""
    text = (
        f"file {file.path}, layer '{name}'{kind}: it stores {len(shapes)} blobs, {stored}, and the "
        f"net's layer of that name has {len(targets)}, {wanted}"
    )
    if (len(shapes), len(targets)) in ((3, 4), (4, 3), (3, 2), (2, 3)):
        text += " (BN has four, Caffe's BatchNorm three and its Scale two)"
    if _is_flat_resnet(file) and (len(targets) == 4 or len(targets[0].shape) == 5):
        text += "; `p3d init` makes start weights for a P3D net from a 2-D ResNet"
    return text + "; rename the layer in the prototxt to leave it out"


def _wrong_shape(file: WeightFile, name: str, blob: int, stored: Shape, wanted: Shape) -> str:
    text = (
        f"file {file.path}, layer '{name}', blob {blob} has the shape {stored} in the file and "
        f"{wanted} in the net; "
    )
    if len(stored) == len(wanted) and stored[1:] == wanted[1:]:
        text += f"give the layer the {stored[0]} outputs of the file, or "
    if len(stored) == len(wanted) == 5 and {stored[1], wanted[1]} == {2, 3}:
        text += f"for flow from frames, or frames from flow, `p3d init --from {file.path}`; or "
    return text + "rename the layer in the prototxt to leave it out and train it from scratch"


def _is_flat_resnet(file: WeightFile) -> bool:
    """Whether it has the names of He's ResNets, whose BN are BatchNorm and Scale."""
    return {"conv1", "bn_conv1", "scale_conv1"} <= {name for name, _, _ in file.layers}


def _report(path: str, loaded: Loaded, copies: Sequence[_Copy]) -> None:
    for rule in (_OLD_AXES, _CHANNELS, _FLAT_KERNEL):
        same = [copy for copy in copies if copy.rule == rule]
        if same:
            name, blob, stored, wanted = same[0].name, same[0].blob, same[0].stored, same[0].wanted
            text = "%s: %s: %d blobs, such as '%s' blob %d stored as %s for %s"
            log.info(text, path, rule, len(same), name, blob, stored, wanted)
    _name_some(log.info, f"{path}: not in the net, ignored", loaded.ignored)
    if not loaded.loaded:
        log.warning(
            "%s: no layer of the net is in this file; nothing was loaded. The file has %s, the "
            "net %s",
            path,
            _some(loaded.ignored),
            _some(loaded.kept),
        )
    else:
        _name_some(log.info, f"{path}: not in the file, unchanged", loaded.kept)


def _name_some(write: Callable[..., None], what: str, names: Sequence[str]) -> None:
    if names:
        write("%s: %s", what, _some(names))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (", ".join(names[:6]) or "nothing") + more
