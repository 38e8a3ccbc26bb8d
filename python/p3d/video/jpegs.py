"""HDF5 files of JPEG images, one file a video, as the tools of the 3D-ResNets family write them.

The dataset "video" has the bytes of one image per frame; "video_u" and "video_v" have grey images
of optical flow in x and in y.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from p3d.error import Error
from p3d.hdf5 import import_h5py
from p3d.video.file_check import check_file
from p3d.video.frames import NoFlow
from p3d.video.source import Alive, Position

EXTENSIONS = (".hdf5", ".h5")

_NAMES = {"frame": ("video",), "flow": ("video_u", "video_v")}


class JpegFile:
    """The frames ("frame") or the flow ("flow") of one HDF5 file as a video."""

    def __init__(self, path: str, modality: str) -> None:
        h5py = import_h5py(f"{path}:")
        check_file(path)
        self.path, self.modality = path, modality
        self.position = Position(0, None)
        self._names = _NAMES[modality]
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise Error(f"{path}: not an HDF5 file that can be read ({error})") from error
        if missing := [name for name in self._names if name not in self._file]:
            none = modality == "flow" and len(missing) == len(self._names)
            raise (NoFlow if none else Error)(
                f"{path}: has no dataset '{missing[0]}' of JPEG images; it has "
                f"{', '.join(self._file) or 'none'}"
            )
        counts = [len(self._file[name]) for name in self._names]
        if len(set(counts)) > 1:
            raise Error(f"{path}: has {counts[0]} images in x and {counts[1]} in y")
        self._count = counts[0]

    def estimate(self, alive: Alive = lambda: None) -> int:
        """The number of images."""
        return self._count

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """See Source. Images of unwanted frames are not decoded."""
        if self._count == 0:
            raise Error(f"{self.path}: there are no images in it")
        for index in range(self._count):
            self.position = Position(index, None)
            yield self._image(index) if wanted(index) else None

    def record(self) -> dict[str, Any]:
        """The datasets."""
        return {"files": list(self._names)}

    def _image(self, index: int) -> np.ndarray:
        mode = cv2.IMREAD_GRAYSCALE if self.modality == "flow" else cv2.IMREAD_COLOR
        images = []
        for name in self._names:
            data = np.frombuffer(self._file[name][index], np.uint8)
            image = cv2.imdecode(data, mode) if data.size else None
            if image is None:
                raise Error(f"{self.path}: image {index} of '{name}' is damaged")
            images.append(image)
        if len({image.shape for image in images}) > 1:
            raise Error(f"{self.path}: image {index} differs in size between x and y")
        return images[0] if len(images) == 1 else np.dstack(images)
