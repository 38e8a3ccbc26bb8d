"""The matrix of an InfogainLoss layer that names a file: the engine reads no files."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from p3d.error import Error

from .blob_io import blobproto_to_array
from .proto import caffe_pb2

# 4096 classes in single precision; a larger file is something else.
MAX_BYTES = 1 << 26


def add_matrices(layers: list[dict[str, Any]]) -> None:
    """Gives the layer descriptions what infogain_loss_param's `source` holds, a BlobProto, as
    the further field "matrix". A third bottom makes the file unnecessary."""
    for layer in layers:
        param = layer["fields"].get("infogain_loss_param", {})
        if layer["type"] == "InfogainLoss" and len(layer["bottom"]) < 3 and param.get("source"):
            where = f"InfogainLoss {layer['name']!r}: file {param['source']}"
            param["matrix"] = _read(param["source"], where).ravel().tolist()


def _read(path: str, where: str) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Error(f"{where} cannot be read: {error}") from None
    if len(data) > MAX_BYTES:
        raise Error(f"{where} has more than {MAX_BYTES >> 20} MiB; it should hold a matrix H")
    try:
        return blobproto_to_array(caffe_pb2.BlobProto.FromString(data))
    except (DecodeError, ValueError) as error:
        raise Error(f"{where} holds no matrix as a BlobProto ({error})") from None
