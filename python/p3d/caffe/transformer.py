"""From images and clips as people have them to what a net takes, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .image_io import resize_image


class Transformer:
    """Prepares the inputs of a net, one setting at a time.

        t = Transformer({"data": net.blobs["data"].data.shape})
        t.set_transpose("data", (3, 0, 1, 2))       # (L, H, W, K) -> (K, L, H, W)
        t.set_channel_swap("data", (2, 1, 0))       # RGB -> BGR
        t.set_raw_scale("data", 255)                # [0, 1] -> [0, 255]
        t.set_mean("data", np.array([104, 117, 123]))
        net.blobs["data"].data[0] = t.preprocess("data", clip)

    Inputs of four axes take images (H, W, K) with transpose (2, 0, 1); inputs of five take
    clips (L, H, W, K). The order is: resize, transpose, swap channels, raw scale, mean,
    input scale.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(int(size) for size in shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def __check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise Exception(f"{in_} is not one of the net inputs: {self.inputs}")

    def preprocess(self, in_: str, data: Any) -> np.ndarray:
        """An image or clip as the float32 array that goes into one item of input `in_`."""
        self.__check_input(in_)
        caffe_in = np.array(data, np.float32)
        shape = self.inputs[in_]
        height = len(shape) - 4  # its axis: 0 in images, 1 in clips
        if height == 1 and (caffe_in.ndim != 4 or len(caffe_in) != shape[2]):
            raise ValueError(
                f"input {in_} takes clips of {shape[2]} frames, (L, H, W, K); "
                f"found shape {caffe_in.shape}"
            )
        if height in (0, 1) and caffe_in.shape[height : height + 2] != shape[-2:]:
            caffe_in = resize_image(caffe_in, shape[-2:])
        if in_ in self.transpose:
            caffe_in = caffe_in.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            caffe_in = caffe_in[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            caffe_in = caffe_in * np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            caffe_in = _without_mean(caffe_in, self.mean[in_], in_)
        if in_ in self.input_scale:
            caffe_in = caffe_in * np.float32(self.input_scale[in_])
        return caffe_in

    def deprocess(self, in_: str, data: Any) -> np.ndarray:
        """The image or clip that `data`, one item of input `in_`, was made from."""
        self.__check_input(in_)
        decaf_in = np.array(data)
        dtype = decaf_in.dtype if decaf_in.dtype.kind == "f" else np.float32
        axes = len(self.inputs[in_]) - 1
        if decaf_in.ndim > axes and len(decaf_in) == 1:
            decaf_in = decaf_in[0]
        if decaf_in.ndim != axes:
            raise ValueError(f"input {in_} has {axes} axes per item; found shape {decaf_in.shape}")
        if in_ in self.input_scale:
            decaf_in = decaf_in / self.input_scale[in_]
        if in_ in self.mean:
            decaf_in = decaf_in + self.mean[in_]
        if in_ in self.raw_scale:
            decaf_in = decaf_in / self.raw_scale[in_]
        if in_ in self.channel_swap:
            decaf_in = decaf_in[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            decaf_in = decaf_in.transpose(np.argsort(self.transpose[in_]))
        return decaf_in.astype(dtype, copy=False)

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of axes: (2, 0, 1) makes (H, W, K) to (K, H, W), and (3, 0, 1, 2)
        (L, H, W, K) to (K, L, H, W)."""
        self.__check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise Exception(
                "Transpose order needs to have the same number of dimensions as the input."
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of channels, which come first after the transpose: (2, 1, 0) makes RGB
        to BGR."""
        self.__check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise Exception(
                "Channel swap needs to have the same number of dimensions as the input channels."
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor before the mean is subtracted, such as 255 for images in [0, 1]."""
        self.__check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Any) -> None:
        """What is subtracted: a value per channel, (H, W), (K, H, W), or for clips also
        (K, L, H, W). Planes of another size are resized."""
        self.__check_input(in_)
        values = np.asarray(mean)
        if values.dtype.kind != "f":
            values = values.astype(float)
        self.mean[in_] = _broadcastable_mean(values, self.inputs[in_][1:])

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean has been subtracted."""
        self.__check_input(in_)
        self.input_scale[in_] = scale


def _without_mean(data: np.ndarray, mean: np.ndarray, name: str) -> np.ndarray:
    """A mean does not make an image of one channel, or of another shape, one of its own."""
    try:
        difference = data - mean
    except ValueError:
        difference = None
    if difference is None or difference.shape != data.shape:
        raise ValueError(
            f"input {name}: the mean, {mean.shape}, cannot be subtracted from an image that is "
            f"{data.shape} with its channels first; see set_transpose, and load_image for grey ones"
        )
    return difference.astype(np.float32)


def _broadcastable_mean(mean: np.ndarray, item: tuple[int, ...]) -> np.ndarray:
    """`mean` so that it can be subtracted from arrays of shape `item`, channels first."""
    channels, plane = item[0], item[-2:]
    if mean.ndim == 1:
        if len(mean) != channels:
            raise ValueError("Mean channels incompatible with input.")
        return mean.reshape(channels, *[1] * (len(item) - 1))
    if mean.ndim < 2 or mean.ndim > len(item):
        raise ValueError("Mean shape invalid")
    if mean.ndim > 2 and mean.shape[0] not in (1, channels):
        raise ValueError("Mean channels incompatible with input.")
    if mean.ndim == 4 and mean.shape[1] not in (1, item[1]):
        raise ValueError(f"Mean has {mean.shape[1]} frames, the input {item[1]}")
    if mean.shape[-2:] != plane:
        frames = mean.reshape(-1, *mean.shape[-2:], 1)
        mean = resize_image(frames, plane).reshape(*mean.shape[:-2], *plane)
    if mean.ndim == 3 and len(item) == 4:
        mean = mean[:, np.newaxis]  # one picture for all frames
    return mean
