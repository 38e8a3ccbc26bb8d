"""``type: "Data"``: images and labels of an LMDB database, as Caffe's tools make it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from google.protobuf.message import DecodeError

from p3d.caffe.image_io import decode
from p3d.caffe.proto import caffe_pb2
from p3d.data.data_layer import check_tops
from p3d.data.image_layer import Image, ImageLayer
from p3d.data.lmdb_file import LmdbFile
from p3d.error import Error
from p3d.wording import shorten


class Data(ImageLayer):
    """Tops data (n, c, h, w) and label (n) of the Datums in `source`, in the order of their keys;
    the second top may be missing. See ImageLayer.

    A Datum has the values themselves, or an encoded image, channels B G R, as it is or made colour
    or grey by transform_param's force_color and force_gray.
    """

    cure = "store images of one size"

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        check_tops(top, 1, 2)
        param, transform = self.param.data_param, self.param.transform_param
        if transform.force_color and transform.force_gray:
            raise Error("gives both force_color and force_gray; keep one")
        if param.backend != param.LMDB:
            raise Error(
                f"{param.source} is said to be a LevelDB database, which only a real Caffe reads: "
                "write it as LMDB (convert_imageset makes that) and say backend: LMDB"
            )
        if not param.source:
            raise Error("needs a source, the folder of an LMDB database")
        self._database = LmdbFile(param.source)
        if len(self._database) == 0:
            raise Error(f"{param.source} is empty: it needs a record for each image")
        self._begin(top, param, len(self._database))

    def _read(self, item: int) -> Image:
        key, value = self._database[item]
        name = f"{self.param.data_param.source}, key {shorten(key.decode(errors='replace'))}"
        try:
            datum = caffe_pb2.Datum.FromString(value)
        except DecodeError:
            raise Error(f"{name}: is no Datum") from None
        values = self._decoded(datum) if datum.encoded else _values(datum)
        if values is None:
            raise Error(f"{name}: has no image that can be read")
        return Image(values, datum.label, name)

    def _decoded(self, datum: Any) -> np.ndarray | None:
        transform = self.param.transform_param
        mode = cv2.IMREAD_UNCHANGED
        if transform.force_color or transform.force_gray:
            mode = cv2.IMREAD_COLOR if transform.force_color else cv2.IMREAD_GRAYSCALE
        image = decode(np.frombuffer(datum.data, np.uint8), mode)
        return None if image is None or image.dtype != np.uint8 else np.atleast_3d(image)


def _values(datum: Any) -> np.ndarray | None:
    """uint8 or float64 (h, w, c); None where there are more or fewer than the sizes say."""
    shape = (datum.channels, datum.height, datum.width)
    values = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data)
    if min(shape) < 1 or values.size != np.prod(shape, dtype=object):
        return None
    return values.reshape(shape).transpose(1, 2, 0)
