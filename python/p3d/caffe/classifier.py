"""Classes of images or clips, from one central view or ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from p3d.error import Error

from .image_io import oversample as ten_crops
from .image_io import resize_image
from .preprocessed_net import PreprocessedNet


class Classifier(PreprocessedNet):
    """A net that classifies images, or clips if its input has five axes.

        net = Classifier("deploy.prototxt", "net.caffemodel", image_dims=(256, 256),
                         mean=np.array([104, 117, 123]), raw_scale=255, channel_swap=(2, 1, 0))
        scores = net.predict([load_image("cat.jpg")])

    image_dims: (height, width) to which inputs are resized before they are cropped to the
    net's input; that very size by default. For the rest see PreprocessedNet.
    """

    def __init__(
        self,
        model_file: Any,
        pretrained_file: Any,
        image_dims: Sequence[int] | None = None,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        shape = self.input_shape
        if len(shape) not in (4, 5):
            raise Error(
                f"input '{self.inputs[0]}' has shape {shape}; a Classifier needs images "
                "(N, C, H, W) or clips (N, C, L, H, W)"
            )
        self.crop_dims = np.array(shape[-2:])
        self.image_dims = np.array(self.crop_dims if image_dims is None else image_dims)

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """(N, classes) probabilities of N images (H, W, K) or clips (L, H, W, K).

        oversample: mean over the ten crops of caffe.io.oversample; otherwise one, central.
        """
        resized = np.stack([resize_image(item, self.image_dims) for item in inputs])
        if oversample:
            scores = self._predict(ten_crops(resized, self.crop_dims))
            return scores.reshape(len(inputs), 10, -1).mean(axis=1)
        (h, w), (height, width) = self.crop_dims, self.image_dims
        if h > height or w > width:
            raise ValueError(f"crop {h}x{w} is larger than the image, {height}x{width}")
        y, x = (height - h) // 2, (width - w) // 2
        return self._predict(resized[..., y : y + h, x : x + w, :])
