"""``type: "ImageData"``: images and labels of a list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.caffe.proto import caffe_pb2
from p3d.data.data_layer import DataLayer, check_batch, check_tops, pack_state, unpack_state
from p3d.data.framing import check_sizes
from p3d.data.order import Order, skipped
from p3d.data.seeds import generator, new_seed
from p3d.data.share import of_this_process
from p3d.data.text_list import Line, read_lines
from p3d.data.transform import Transform
from p3d.error import Error
from p3d.video.frames import read_image
from p3d.wording import shorten


class Image(NamedTuple):
    """A line of the list."""

    path: str
    label: int


class ImageData(DataLayer):
    """Tops data (n, 3 or 1, h, w), channels B G R, and label (n). Lines are "path label"; in the
    last word a label, in all before it a path, which root_folder is put before.

    A batch takes its size from its first image, and the others have to have it too. Each rank
    takes its own images (see share.py).
    """

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        check_tops(top, 2, 2)
        param = self.param.image_data_param
        if (param.new_height > 0) != (param.new_width > 0):
            raise Error("needs both new_height and new_width, or neither")
        check_sizes(param.new_height, param.new_width)
        self._batch = check_batch(param)
        self._share = of_this_process(self.phase == caffe_pb2.TRAIN)
        self._images = [_image(line, param.source) for line in read_lines(param.source)]
        channels = 3 if param.is_color else 1
        self._transform = Transform(self.param.transform_param, self.phase, channels)
        self._order = Order(len(self._images), param.shuffle, new_seed())
        self._position = skipped(param.rand_skip, self._order.seed, len(self._images))
        self._reshape(top, self._read(self._position))

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        views: list[np.ndarray] = []
        for place in range(self._batch):
            position = self._position + self._share.rank
            image = self._read(position)
            if not views:
                self._reshape(top, image)
                views = [blob.data for blob in top]
            epoch, item = self._order.turn(position)
            random = generator(self._order.seed, epoch, item + 1)
            values = self._transform.apply(image, random)
            if values.shape != views[0].shape[1:]:
                raise Error(
                    f"{self._images[item].path}: gives {values.shape}, the first image of the "
                    f"batch {views[0].shape[1:]}: set new_height and new_width, or batch_size 1"
                )
            views[0][place], views[1][place] = values, self._images[item].label
            self._position += self._share.ranks

    def save_state(self) -> bytes:
        """Where the data goes on."""
        return pack_state(images=len(self._images), seed=self._order.seed, position=self._position)

    def load_state(self, state: bytes) -> None:
        """Go on from there."""
        seed, position = unpack_state(state, "seed", "position", images=len(self._images))
        self._order = Order(len(self._images), self._order.shuffle, seed)
        self._position = position

    def _read(self, position: int) -> np.ndarray:
        """The image whose turn it is: uint8 (h, w, c), resized."""
        param = self.param.image_data_param
        path = param.root_folder + self._images[self._order.turn(position).item].path
        image = read_image(path, cv2.IMREAD_COLOR if param.is_color else cv2.IMREAD_GRAYSCALE)
        if param.new_height:
            image = cv2.resize(image, (param.new_width, param.new_height))
        return image if image.ndim == 3 else image[:, :, None]

    def _reshape(self, top: Sequence[Any], image: np.ndarray) -> None:
        h, w, channels = image.shape
        top[0].reshape(self._batch, channels, *self._transform.size(h, w))
        top[1].reshape(self._batch)


def _image(line: Line, source: str) -> Image:
    path, _, label = line.text.rpartition(" ")
    if not path or not re.fullmatch(r"[-+]?\d{1,9}", label):
        raise Error(
            f"source {source}, line {line.number}: '{shorten(line.text)}' is not a path and a "
            "label, a whole number"
        )
    return Image(path.rstrip(), int(label))
