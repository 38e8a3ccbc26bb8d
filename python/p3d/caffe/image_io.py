"""Images as Caffe's Python interface has them: (H, W, K) float32, colour as RGB in [0, 1].

Clips, (L, H, W, K), are taken wherever images are. OpenCV is loaded when there is an image: nets
that see none need neither its time nor its memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from p3d.error import Error

_LUMA = np.array([0.2125, 0.7154, 0.0721], np.float32)  # of R, G, B
_WHITE = {"uint8": 255, "uint16": 65535}
_INTERPOLATION = {0: "INTER_NEAREST_EXACT", 3: "INTER_CUBIC"}


def decode(data: np.ndarray, mode: int = -1) -> np.ndarray | None:
    """The image in the bytes of a file, (H, W) or (H, W, BGR or BGRA), None if there is none.

    `mode` is one of OpenCV's, as it is (cv2.IMREAD_UNCHANGED) by default.
    """
    import cv2

    try:
        return cv2.imdecode(data, mode) if data.size else None
    except cv2.error:  # of a size that OpenCV refuses, for instance
        return None


def load_image(filename: str | os.PathLike[str], color: bool = True) -> np.ndarray:
    """The image in a file: (H, W, 3) in RGB, or (H, W, 1) with color=False.

    Values are float32 in [0, 1]. Grey is repeated for colour, alpha is dropped.
    """
    decoded = decode(np.fromfile(filename, np.uint8))
    if decoded is None:
        raise Error(f"{os.fspath(filename)} holds no image that can be decoded")
    image = np.atleast_3d(decoded).astype(np.float32)
    image /= _WHITE.get(decoded.dtype.name, 1)
    if image.shape[2] >= 3:
        image = image[:, :, 2::-1]
        return np.ascontiguousarray(image if color else (image @ _LUMA)[:, :, np.newaxis])
    return np.repeat(image[:, :, :1], 3 if color else 1, axis=2)


def resize_image(
    im: np.ndarray, new_dims: Sequence[int] | np.ndarray, interp_order: int = 1
) -> np.ndarray:
    """`im`, (H, W, K) or (L, H, W, K), resized to new_dims = (height, width), as float32.

    The order of interpolation is 0 (nearest), 1 (linear) or 3 (cubic). Pixels are areas:
    the centres of the corner pixels are not kept, and nothing is averaged when shrinking.
    Linear is as in Caffe: what is enlarged fades to the image's least value at its border, and
    images of other than 1 or 3 channels keep the centres of the corner pixels.
    """
    import cv2

    if interp_order not in (0, 1, 3):
        raise ValueError(f"interp_order {interp_order} is not one of [0, 1, 3]")
    if im.ndim not in (3, 4) or im.size == 0:
        raise ValueError(f"expected (H, W, K) or (L, H, W, K), found shape {im.shape}")
    height, width = (int(size) for size in new_dims)
    frames = im.reshape(-1, *im.shape[-3:])
    resized = np.empty((len(frames), height, width, im.shape[-1]), np.float32)
    for source, target in zip(frames, resized, strict=True):
        if interp_order == 1:
            target[...] = _resize_linearly(source.astype(np.float32), height, width)
            continue
        for k in range(0, im.shape[-1], 4):  # OpenCV takes up to four channels
            part = np.ascontiguousarray(source[:, :, k : k + 4], np.float32)
            way = getattr(cv2, _INTERPOLATION[interp_order])
            out = cv2.resize(part, (width, height), interpolation=way)
            target[:, :, k : k + 4] = out.reshape(height, width, -1)
    return resized.reshape(*im.shape[:-3], height, width, im.shape[-1])


def _resize_linearly(image: np.ndarray, height: int, width: int) -> np.ndarray:
    corners = image.shape[-1] not in (1, 3)
    least = 0 if corners else image.min()
    rows, columns = (
        _weights(size, new, corners)
        for size, new in zip(image.shape, (height, width), strict=False)
    )
    across = np.tensordot(rows, image - least, 1)
    return np.tensordot(across, columns, (1, 1)).transpose(0, 2, 1) + least


def _weights(size: int, new: int, corners: bool) -> np.ndarray:
    """How much of each of `size` values is in each of `new`, (new, size); outside there are zeros.

    corners: the first and the last value are kept.
    """
    if corners:
        places = np.arange(new) * ((size - 1) / max(new - 1, 1))
    else:
        places = (np.arange(new) + 0.5) * (size / new) - 0.5
    return np.maximum(1 - abs(places[:, None] - np.arange(size)), 0).astype(np.float32)


def oversample(
    images: Sequence[np.ndarray] | np.ndarray, crop_dims: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Ten crops of each image, or of each clip: the corners and the centre, then their
    mirror images.

    images:  (H, W, K) or (L, H, W, K) each, all of one shape
    returns: (10 N, h, w, K) or (10 N, L, h, w, K) with crop_dims = (h, w); the corners are
             top left, top right, bottom left, bottom right
    """
    height, width = images[0].shape[-3:-1]
    h, w = (int(size) for size in crop_dims)
    if h > height or w > width:
        raise ValueError(f"crop {h}x{w} is larger than the image, {height}x{width}")
    corners = [(y, x) for y in (0, height - h) for x in (0, width - w)]
    places = [*corners, ((height - h) // 2, (width - w) // 2)]
    crops = []
    for image in images:
        five = [image[..., y : y + h, x : x + w, :] for y, x in places]
        crops += five + [crop[..., ::-1, :] for crop in five]
    return np.stack(crops).astype(np.float32)
