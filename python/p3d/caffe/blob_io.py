"""Arrays <-> BlobProto (means, weights) and Datum (records of databases)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from p3d.error import Error

from .image_io import decode
from .proto import caffe_pb2

# A matrix of 4096 classes, or the mean of large clips; a larger file is something else.
MAX_BYTES = 1 << 26


def blobproto_to_array(blob: Any, return_diff: bool = False) -> np.ndarray:
    """The values of a BlobProto, or its gradients, as float64 in the blob's shape."""
    single, double = (blob.diff, blob.double_diff) if return_diff else (blob.data, blob.double_data)
    values = single or double
    data = np.fromiter(values, float, len(values))
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return data.reshape(blob.num, blob.channels, blob.height, blob.width)
    return data.reshape(tuple(blob.shape.dim))


def read_blobproto(path: str, where: str, what: str) -> np.ndarray:
    """The values of a BlobProto file, float64.

    where: the start of error messages; names the file
    what: what it should hold, "mean"
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Error(f"{where} cannot be read: {error}") from None
    if len(data) > MAX_BYTES:
        raise Error(f"{where} has more than {MAX_BYTES >> 20} MiB; it should hold a {what}")
    if not data:
        raise Error(f"{where} is empty; it should hold a {what} as a BlobProto")
    try:
        return blobproto_to_array(caffe_pb2.BlobProto.FromString(data))
    except (DecodeError, ValueError) as error:
        raise Error(f"{where} holds no {what} as a BlobProto ({error})") from None


def array_to_blobproto(arr: Any, diff: Any = None) -> Any:
    """An array of any shape, and if given its gradient, as a BlobProto."""
    values = np.asarray(arr)
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(values.shape)
    blob.data.extend(values.astype(float).ravel().tolist())
    if diff is not None:
        gradient = np.asarray(diff)
        if gradient.shape != values.shape:
            raise ValueError(f"diff has shape {gradient.shape}, the array {values.shape}")
        blob.diff.extend(gradient.astype(float).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[Any]) -> bytes:
    """Arrays as a serialized BlobProtoVector."""
    blobs = [array_to_blobproto(arr) for arr in arraylist]
    return caffe_pb2.BlobProtoVector(blobs=blobs).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays of a serialized BlobProtoVector."""
    vector = caffe_pb2.BlobProtoVector.FromString(str)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: Any, label: int | None = None) -> Any:
    """A (C, H, W) array as a Datum: uint8 as bytes, anything else as floats."""
    values = np.asarray(arr)
    if values.ndim != 3:
        raise ValueError("Incorrect array shape.")
    datum = caffe_pb2.Datum()
    datum.channels, datum.height, datum.width = values.shape
    if values.dtype == np.uint8:
        datum.data = values.tobytes()
    else:
        datum.float_data.extend(values.astype(float).ravel().tolist())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: Any) -> np.ndarray:
    """The (C, H, W) array of a Datum: uint8 if it holds bytes, else float64. An encoded
    image is decoded (channels in the order BGR). The label is datum.label."""
    if datum.encoded:
        image = decode(np.frombuffer(datum.data, np.uint8))
        if image is None:
            raise ValueError("the Datum says that it is an encoded image, but none can be decoded")
        return np.atleast_3d(image).transpose(2, 0, 1)
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        return np.frombuffer(datum.data, np.uint8).reshape(shape).copy()
    return np.fromiter(datum.float_data, float, len(datum.float_data)).reshape(shape)
