"""``type: "ImageData"``: images and labels of a list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2

from p3d.data.data_layer import check_tops
from p3d.data.framing import check_sizes
from p3d.data.image_layer import Image, ImageLayer
from p3d.data.text_list import Line, read_lines
from p3d.error import Error
from p3d.video.frames import read_image
from p3d.wording import shorten


class _Listed(NamedTuple):
    """A line of the list."""

    path: str
    label: int


class ImageData(ImageLayer):
    """Tops data (n, 3 or 1, h, w), channels B G R, and label (n). Lines are "path label"; in the
    last word a label, in all before it a path, which root_folder is put before. See ImageLayer.
    """

    cure = "set new_height and new_width"

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        check_tops(top, 2, 2)
        param = self.param.image_data_param
        if (param.new_height > 0) != (param.new_width > 0):
            raise Error("needs both new_height and new_width, or neither")
        check_sizes(param.new_height, param.new_width)
        self._images = [_listed(line, param.source) for line in read_lines(param.source)]
        self._begin(top, param, len(self._images), param.shuffle)

    def _read(self, item: int) -> Image:
        """The image, uint8 and resized."""
        param = self.param.image_data_param
        path, label = self._images[item]
        mode = cv2.IMREAD_COLOR if param.is_color else cv2.IMREAD_GRAYSCALE
        image = read_image(param.root_folder + path, mode)
        if param.new_height:
            image = cv2.resize(image, (param.new_width, param.new_height))
        return Image(image if image.ndim == 3 else image[:, :, None], label, path)


def _listed(line: Line, source: str) -> _Listed:
    path, _, label = line.text.rpartition(" ")
    if not path or not re.fullmatch(r"[-+]?\d{1,9}", label):
        raise Error(
            f"source {source}, line {line.number}: '{shorten(line.text)}' is not a path and a "
            "label, a whole number"
        )
    return _Listed(path.rstrip(), int(label))
