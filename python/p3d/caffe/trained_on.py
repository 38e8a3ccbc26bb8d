"""What clips a net was trained on: a snapshot has the layers of its data too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, Any

from google.protobuf.message import DecodeError

from p3d.caffe.proto import caffe_pb2
from p3d.caffe.wire import read_varint

_NET_LAYER = 100  # NetParameter.layer
_LARGEST = 1 << 16  # of a layer without weights


def trained_on(path: str | os.PathLike[str]) -> dict[str, int] | None:
    """The `crop`, pixels on a side, and the `length`, frames, of the clips of a .caffemodel's layer
    VideoData; None where it has none. Whatever is no such file has none."""
    with open(path, "rb") as file:
        for text in _small_layers(file):
            layer = caffe_pb2.LayerParameter()
            try:
                layer.ParseFromString(text)
            except DecodeError:  # of a fork with other fields
                continue
            if layer.type == "VideoData" and layer.HasField("video_data_param"):
                return _clips(layer.video_data_param)
    return None


def _clips(param: Any) -> dict[str, int] | None:
    square = param.new_height if param.new_height == param.new_width else 0
    crop = param.crop_size or square
    return {"crop": crop, "length": param.new_length} if crop else None


def _small_layers(file: IO[bytes]) -> Iterator[bytes]:
    """The messages of layers that are too small to have weights worth the name."""
    end = os.fstat(file.fileno()).st_size
    while tag := read_varint(file):  # 0 is none
        number, kind = tag >> 3, tag & 7
        size = {1: 8, 5: 4}.get(kind) if kind != 2 else read_varint(file)
        if kind == 0:
            size = 0 if read_varint(file) is not None else None
        if size is None or size > end - file.tell():
            return
        if number == _NET_LAYER and kind == 2 and size <= _LARGEST:
            yield file.read(size)
        else:
            file.seek(size, os.SEEK_CUR)
