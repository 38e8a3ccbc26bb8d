"""What data layers of images have in common: batches of them, transformed, and their labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from p3d.caffe.proto import caffe_pb2
from p3d.data.data_layer import DataLayer, check_batch, pack_state, unpack_state
from p3d.data.order import Order, skipped
from p3d.data.seeds import generator, new_seed
from p3d.data.share import of_this_process
from p3d.data.transform import Transform
from p3d.error import Error


class Image(NamedTuple):
    """Values (h, w, c), of a Transform (c, h, w); a label, and what messages call it."""

    values: np.ndarray
    label: int
    name: str


class ImageLayer(DataLayer):
    """Tops data (n, c, h, w) and label (n), the second where there is one.

    A batch takes its size from its first image, and the others have to have it too. Each rank
    takes its own images (see share.py).
    """

    #: What gives images one size.
    cure: str

    @abstractmethod
    def _read(self, item: int) -> Image:
        """One of the images that `_begin` was told of."""

    def _begin(self, top: Sequence[Any], param: Any, count: int, shuffle: bool = False) -> None:
        """For so many images; `param` has batch_size and rand_skip."""
        self._batch = check_batch(param)
        self._share = of_this_process(self.phase == caffe_pb2.TRAIN)
        self._order = Order(count, shuffle, new_seed())
        self._position = skipped(param.rand_skip, self._order.seed, count)
        first = self._read(self._order.turn(self._position).item)
        channels = first.values.shape[2]
        self._transform = Transform(self.param.transform_param, self.phase, channels)
        self._reshape(top, self._transformed(self._position))

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        views: list[np.ndarray] = []
        for place in range(self._batch):
            image = self._transformed(self._position + self._share.rank)
            if not views:
                self._reshape(top, image)
                views = [blob.data for blob in top]
            if image.values.shape != views[0].shape[1:]:
                raise Error(
                    f"{image.name}: gives {image.values.shape}, the first image of the batch "
                    f"{views[0].shape[1:]}: {self.cure}, or batch_size 1"
                )
            for view, value in zip(views, image, strict=False):
                view[place] = value
            self._position += self._share.ranks

    def save_state(self) -> bytes:
        """Where the data goes on."""
        order = self._order
        return pack_state(images=order.count, seed=order.seed, position=self._position)

    def load_state(self, state: bytes) -> None:
        """Go on from there."""
        count = self._order.count
        seed, position = unpack_state(state, "seed", "position", images=count)
        self._order = Order(count, self._order.shuffle, seed)
        self._position = position

    def _transformed(self, position: int) -> Image:
        """The image whose turn it is at a position."""
        epoch, item = self._order.turn(position)
        image = self._read(item)
        random = generator(self._order.seed, epoch, item + 1)
        try:
            return image._replace(values=self._transform.apply(image.values, random))
        except Error as error:
            raise Error(f"{image.name}: {error}") from None

    def _reshape(self, top: Sequence[Any], image: Image) -> None:
        top[0].reshape(self._batch, *image.values.shape)
        for labels in top[1:]:
            labels.reshape(self._batch)
