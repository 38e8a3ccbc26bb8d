"""Weight files for writing: .caffemodel and .caffemodel.h5 as Caffe writes them.

Files appear whole or not at all. Values are streamed: a blob at a time is in memory.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from p3d.atomic import replacing
from p3d.caffe.wire import tag, varint
from p3d.error import Error
from p3d.hdf5 import import_h5py

Params = Mapping[str, Sequence[Any]]

log = logging.getLogger("p3d")

# Field numbers of caffe.proto, all of length-delimited fields.
_NET_NAME, _NET_LAYER = 1, 100
_LAYER_BLOBS = 7
_BLOB_SHAPE = 7
#: What a blob holds -> its field with float32 and float64 values.
_BLOB_VALUES = {"data": (5, 8), "diff": (6, 9)}
_SHAPE_DIM = 1

_LOSSES = (
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
)

# Caffe's own reader of protobuf files gives up beyond this.
_CAFFE_LIMIT = 2**31 - 1


def save(net: Any, params: Params, path: str | os.PathLike[str], with_diffs: bool = False) -> None:
    """Writes a .caffemodel: every layer of `net` with its parameters and the blobs in `params`.

    net: NetParameter as it runs (rules applied, splits inserted); blobs in it are left out.
    with_diffs: the blobs' diffs too, as solvers with snapshot_diff do.
    A parameter that several layers share is stored with each of them, as Caffe does.
    """
    with replacing(path) as file:
        file.write(_field(_NET_NAME, net.name.encode()))
        for layer in net.layer:
            _write_layer(file, layer, params.get(layer.name, ()), _parts(with_diffs))
        size = file.tell()
    if size > _CAFFE_LIMIT:
        log.warning(
            "%s has %d bytes: Caffe itself cannot read protobuf files of 2 GiB and more (p3d can); "
            "for Caffe, save as .caffemodel.h5",
            path,
            size,
        )


def save_hdf5(
    net: Any, params: Params, path: str | os.PathLike[str], with_diffs: bool = False
) -> None:
    """Writes a .caffemodel.h5: a group data/<layer> for every layer of `net`, its blobs in it.

    with_diffs: their diffs likewise, in diff/<layer>.
    A parameter that several layers share is stored with the first of them, as Caffe does; its diff
    with each.
    """
    h5py = import_h5py(f"writing {os.fspath(path)}")
    shared = shared_params(net)
    with replacing(path, "w+b") as file, h5py.File(file, "w") as hdf5:
        for layer, part in itertools.product(net.layer, _parts(with_diffs)):
            if not layer.name.strip("./"):
                raise Error(f"cannot write {path}: HDF5 stores no layer named '{layer.name}'")
            group = hdf5.require_group(f"{part}/{layer.name}")
            for index, blob in enumerate(params.get(layer.name, ())):
                owned = part == "diff" or (layer.name, index) not in shared
                if owned and str(index) not in group:
                    group.create_dataset(str(index), data=_values(blob, part))


def shared_params(net: Any) -> set[tuple[str, int]]:
    """The parameters (layer, index) whose name an earlier parameter has: that one owns them."""
    seen: set[str] = set()
    shared = set()
    for layer in net.layer:
        for index, param in enumerate(layer.param):
            if param.name in seen:
                shared.add((layer.name, index))
            elif param.name:
                seen.add(param.name)
    return shared


def _parts(with_diffs: bool) -> list[str]:
    return ["data", "diff"] if with_diffs else ["data"]


def _as_set_up(layer: Any) -> Any:
    """The layer without blobs, and with what Caffe's layers write into their parameters when they
    are made: the weight of a loss, and that statistics do not learn."""
    made = type(layer)()
    made.CopyFrom(layer)
    made.ClearField("blobs")
    if layer.type in _LOSSES and not layer.loss_weight:
        made.loss_weight.append(1)
    if layer.type == "BatchNorm":
        while len(made.param) < 3:
            made.param.add(lr_mult=0)
    if layer.type == "BN":
        while len(made.param) < 4:
            made.param.add()
        for param in made.param[0 if layer.bn_param.frozen else 2 :]:
            param.lr_mult = param.decay_mult = 0
    return made


def _write_layer(file: IO[bytes], layer: Any, blobs: Sequence[Any], parts: Sequence[str]) -> None:
    text = _as_set_up(layer).SerializeToString()
    # Shapes first, values later: the length of a layer stands before it.
    heads = [_blob_heads(blob, parts) for blob in blobs]
    size = len(text) + sum(len(b"".join(each)) + payload * len(parts) for each, payload in heads)
    file.write(tag(_NET_LAYER) + varint(size) + text)
    for blob, (before, payload) in zip(blobs, heads, strict=True):
        for part, head in zip(parts, before, strict=True):
            values = _values(blob, part)
            if values.nbytes != payload:
                raise Error(
                    f"layer '{layer.name}': a blob of {payload} bytes holds {values.nbytes}"
                )
            file.write(head)
            file.write(values.reshape(-1).view(np.uint8).data)


def _blob_heads(blob: Any, parts: Sequence[str]) -> tuple[list[bytes], int]:
    """What stands before each part of the values of LayerParameter.blobs, and a part's size."""
    shape = tuple(int(axis) for axis in blob.shape)
    is_double = blob.data.dtype == np.float64
    payload = int(np.prod(shape, dtype=np.int64)) * (8 if is_double else 4)
    heads = [tag(_BLOB_VALUES[part][is_double]) + varint(payload) for part in parts]
    dims = _field(_BLOB_SHAPE, _field(_SHAPE_DIM, b"".join(varint(axis) for axis in shape)))
    inside = len(dims) + len(b"".join(heads)) + payload * len(parts)
    heads[0] = tag(_LAYER_BLOBS) + varint(inside) + dims + heads[0]
    return heads, payload


def _values(blob: Any, part: str = "data") -> np.ndarray:
    data = getattr(blob, part)
    return np.asarray(data, "<f8" if data.dtype == np.float64 else "<f4", order="C")


def _field(number: int, payload: bytes) -> bytes:
    return tag(number) + varint(len(payload)) + payload
