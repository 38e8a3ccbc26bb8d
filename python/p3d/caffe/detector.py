"""Scores of windows in images, as R-CNN takes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from p3d.error import Error

from .image_io import load_image, resize_image
from .preprocessed_net import PreprocessedNet


class Detector(PreprocessedNet):
    """A net that classifies windows of images.

    context_pad: width of the border around a window, in pixels of the net's input, that
    shows what surrounds it. Where that lies outside the image, the mean is shown. For the
    rest see PreprocessedNet.
    """

    def __init__(
        self,
        model_file: Any,
        pretrained_file: Any,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        if len(self.input_shape) != 4:
            raise Error(
                f"input '{self.inputs[0]}' has shape {self.input_shape}; a Detector cuts windows "
                "from images and needs (N, C, H, W)"
            )
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets context_pad, and from the transformer the mean that fills what is outside."""
        in_ = self.inputs[0]
        _, channels, height, width = self.input_shape
        self.context_pad = context_pad
        self.crop_dims = np.array([height, width, channels])
        if not context_pad:
            return
        if 2 * context_pad >= min(height, width):
            raise Error(
                f"context_pad {context_pad} leaves nothing of a {height}x{width} input; it must "
                f"be below {min(height, width) / 2:g}"
            )
        t = self.transformer
        # The mean as it would look in an image, before the transformer's steps.
        mean = np.broadcast_to(t.mean.get(in_, np.zeros(())), (channels, height, width))
        if in_ in t.channel_swap:
            mean = mean[np.argsort(t.channel_swap[in_])]
        self.crop_mean = mean.transpose(1, 2, 0) / t.raw_scale.get(in_, 1)

    def detect_windows(
        self, images_windows: Iterable[tuple[str, Iterable[Sequence[int]]]]
    ) -> list[dict[str, Any]]:
        """Scores for windows (ymin, xmin, ymax, xmax) of images: (filename, windows) pairs.

        Returns one {"window", "prediction", "filename"} per window.
        """
        crops, detections = [], []
        for filename, windows in images_windows:
            image = load_image(filename)
            for window in windows:
                crops.append(self.crop(image, window))
                detections.append({"window": window, "prediction": None, "filename": filename})
        if crops:
            prepared = [resize_image(crop, self.crop_dims[:2]) for crop in crops]
            for detection, scores in zip(detections, self._predict(prepared), strict=True):
                detection["prediction"] = scores
        return detections

    def detect_selective_search(self, image_fnames: Iterable[str]) -> list[dict[str, Any]]:
        """detect_windows on the proposals of the package selective_search_ijcv_with_python."""
        try:
            selective_search = import_module("selective_search_ijcv_with_python")
        except ImportError:
            raise Error(
                "detect_selective_search needs the package selective_search_ijcv_with_python "
                "(and MATLAB); detect_windows takes windows from elsewhere"
            ) from None
        names = [os.path.abspath(name) for name in image_fnames]
        windows = selective_search.get_windows(names, cmd="selective_search_rcnn")
        return self.detect_windows(zip(names, windows, strict=True))

    def crop(self, im: np.ndarray, window: Sequence[int]) -> np.ndarray:
        """The window (ymin, xmin, ymax, xmax) of an image (H, W, K); with context_pad the
        window and its surroundings in the size of the net's input."""
        top, left, bottom, right = (int(side) for side in window)
        height, width = im.shape[:2]
        if not (top < bottom > 0 and left < right > 0 and top < height and left < width):
            raise ValueError(f"window {tuple(window)} shows nothing of the image, {height}x{width}")
        if not self.context_pad:
            return im[max(top, 0) : bottom, max(left, 0) : right]
        rows = _with_context(top, bottom, height, int(self.crop_dims[0]), self.context_pad)
        columns = _with_context(left, right, width, int(self.crop_dims[1]), self.context_pad)
        crop = self.crop_mean.astype(np.float32)
        size = (rows[1].stop - rows[1].start, columns[1].stop - columns[1].start)
        crop[rows[1], columns[1]] = resize_image(im[rows[0], columns[0]], size)
        return crop


def _with_context(begin: int, end: int, size: int, crop: int, pad: int) -> tuple[slice, slice]:
    """Along one axis: the part of the image that a window with its context shows, and where
    in a crop of `crop` pixels, `pad` of them context at each side, that part lies."""
    half = (end - begin + 1) / 2
    center = begin + half
    wide = half * crop / (crop - 2 * pad)
    first, last = round(center - wide), round(center + wide)
    scale = crop / (last - first + 1)
    outside = min(round(max(0, -first) * scale), crop - 1)
    inside = slice(max(first, 0), min(max(last, 0), size))
    length = round((inside.stop - inside.start + 1) * scale)
    return inside, slice(outside, outside + max(1, min(length, crop - outside)))
